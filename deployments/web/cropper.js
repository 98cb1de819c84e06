/** The crop square on the picture: drawn, moved and resized by mouse, touch, keyboard and numbers. */

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
    for (const name of ["pointerup", "pointercancel"]) {
      this.#frame.addEventListener(name, () => (this.#drag = null));
    }
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
    if (event.button !== 0) return;
    event.preventDefault(); // no text selection, no ghost of the picture
    this.#square.focus({ preventScroll: true });
    this.#frame.setPointerCapture(event.pointerId);
    const start = this.#point(event);
    const corner = event.target.dataset?.corner;
    // A square that fills the picture cannot be moved, so dragging in it draws a new one.
    const fills = this.#crop.side === Math.min(this.#size.width, this.#size.height);
    const square = this.#size.width === this.#size.height;
    const moves = this.#square.contains(event.target) && !(fills && square);
    if (corner) this.#drag = { anchor: this.#opposite(corner), begun: true };
    else if (moves) this.#drag = { start, from: this.#crop };
    else this.#drag = { anchor: { x: Math.round(start.x), y: Math.round(start.y) }, start, begun: false };
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
