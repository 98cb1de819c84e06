/**
 * The crop square on the picture: drawn, moved and resized by mouse, keyboard and numbers; on a touch
 * screen resized by its corners, and moved once it was tapped, because a thumb on it mostly scrolls.
 */

import { centred, grown, inside, same, spanned } from "./crop.js";
import { byId } from "./elements.js";

const CLICK_PX = 6; // a pointer that moves less has clicked, not drawn
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Shows the square and changes it. */
export class Cropper {
  #frame = byId("frame");
  #square = byId("crop");
  #fields = { x: byId("crop-x"), y: byId("crop-y"), side: byId("crop-side") };
  #size = { width: 1, height: 1 };
  #crop = { x: 0, y: 0, side: 1 };
  #smallest = 64;
  #drag = null;
  #onChange;

  /** @param {() => void} onChange called after each change by the reader */
  constructor(onChange) {
    this.#onChange = onChange;
    this.#frame.addEventListener("pointerdown", (event) => this.#grab(event));
    this.#frame.addEventListener("pointermove", (event) => this.#pull(event));
    this.#frame.addEventListener("pointerup", () => (this.#drag = null));
    this.#frame.addEventListener("pointercancel", () => this.#undo());
    this.#frame.addEventListener("dragstart", (event) => event.preventDefault());
    this.#square.addEventListener("keydown", (event) => this.#press(event));
    for (const field of Object.values(this.#fields)) {
      field.addEventListener("change", () => this.#type());
    }
    byId("crop-reset").addEventListener("click", () => this.#set(centred(this.#size)));
  }

  /**
   * Begin with a new picture.
   * @param {{width: number, height: number}} size of the upright picture, in pixels
   * @param {number} smallest side of a crop, in pixels
   */
  begin(size, smallest) {
    this.#size = size;
    this.#smallest = smallest;
    this.#frame.style.setProperty("--ratio", String(size.width / size.height));
    this.#crop = centred(size);
    this.#draw();
  }

  /** @returns {string} as the service takes it: `center`, or `x,y,side` */
  get value() {
    if (same(this.#crop, centred(this.#size))) return "center";
    return `${this.#crop.x},${this.#crop.y},${this.#crop.side}`;
  }

  #set(crop) {
    if (same(crop, this.#crop)) return this.#draw();
    this.#crop = crop;
    this.#draw();
    this.#onChange();
  }

  #draw() {
    const { width, height } = this.#size;
    const { x, y, side } = this.#crop;
    const style = this.#square.style;
    style.left = `${(100 * x) / width}%`;
    style.top = `${(100 * y) / height}%`;
    style.width = `${(100 * side) / width}%`;
    style.height = `${(100 * side) / height}%`;
    for (const [name, field] of Object.entries(this.#fields)) field.value = this.#crop[name];
    this.#square.setAttribute("aria-label", `Crop square: x ${x}, y ${y}, side ${side} pixels`);
    this.#square.toggleAttribute("data-whole", this.#isWhole);
  }

  /** Whether the square is the whole picture: then it cannot be moved. */
  get #isWhole() {
    return this.#crop.side === this.#size.width && this.#crop.side === this.#size.height;
  }

  #point(event) {
    const box = this.#frame.getBoundingClientRect();
    const { width, height } = this.#size;
    const scale = width / box.width;
    return {
      x: Math.min(Math.max((event.clientX - box.left) * scale, 0), width),
      y: Math.min(Math.max((event.clientY - box.top) * scale, 0), height),
      clickPx: CLICK_PX * scale,
    };
  }

  #grab(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    const corner = event.target.dataset?.corner;
    // Dragging in a square that cannot be moved draws a new one.
    const moves = this.#square.contains(event.target) && !this.#isWhole;
    if (event.pointerType !== "mouse" && !corner && !(moves && document.activeElement === this.#square)) return;
    event.preventDefault(); // no text selection, no ghost of the picture
    this.#square.focus({ preventScroll: true });
    this.#frame.setPointerCapture(event.pointerId);
    const start = this.#point(event);
    const before = this.#crop;
    if (corner) this.#drag = { before, anchor: this.#opposite(corner), begun: true };
    else if (moves) this.#drag = { before, start, from: before };
    else this.#drag = { before, anchor: { x: Math.round(start.x), y: Math.round(start.y) }, start, begun: false };
  }

  /** The browser took the gesture for itself: it changes nothing. */
  #undo() {
    if (this.#drag) this.#set(this.#drag.before);
    this.#drag = null;
  }

  #opposite(corner) {
    const { x, y, side } = this.#crop;
    return { x: corner.includes("w") ? x + side : x, y: corner.includes("n") ? y + side : y };
  }

  #pull(event) {
    const drag = this.#drag;
    if (!drag) return;
    const point = this.#point(event);
    if (drag.from) {
      const moved = { x: drag.from.x + point.x - drag.start.x, y: drag.from.y + point.y - drag.start.y };
      this.#set(inside({ ...moved, side: drag.from.side }, this.#size, this.#smallest));
      return;
    }
    drag.begun ||= Math.hypot(point.x - drag.start.x, point.y - drag.start.y) > point.clickPx;
    if (drag.begun) this.#set(spanned(drag.anchor, point, this.#size, this.#smallest));
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const short = Math.min(this.#size.width, this.#size.height);
    const step = Math.max(1, Math.round(short / 100)) * (event.shiftKey ? 10 : 1);
    const { x, y, side } = this.#crop;
    const arrow = ARROWS[event.key];
    if (arrow) this.#set(inside({ x: x + arrow[0] * step, y: y + arrow[1] * step, side }, this.#size, this.#smallest));
    else if (event.key === "+" || event.key === "=" || event.key === "*") this.#grow(2 * step);
    else if (event.key === "-" || event.key === "_") this.#grow(-2 * step);
    else return;
    event.preventDefault();
  }

  #grow(by) {
    this.#set(grown(this.#crop, by, this.#size, this.#smallest));
  }

  #type() {
    const typed = {};
    for (const [name, field] of Object.entries(this.#fields)) {
      typed[name] = field.value === "" ? this.#crop[name] : Number(field.value);
    }
    this.#set(inside(typed, this.#size, this.#smallest));
  }
}
