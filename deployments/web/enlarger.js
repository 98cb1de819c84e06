/** The dialog that shows one pair, or one image of a sweep, large; arrow keys step through. */

import { byId, element } from "./elements.js";
import { fileName } from "./images.js";
import { drawCell } from "./sheet.js";

/**
 * What the dialog shows at one place of the row.
 * @typedef {{title: string, pictures: {label: string, model: string, prefix: string,
 *   cell: import("./images.js").Cell}[]}} Item
 */

/** Opens, steps and gives the focus back. */
export class Enlarger {
  #dialog = byId("enlarger");
  #items = () => [];
  #index = 0;
  #onClose = () => {};

  constructor() {
    byId("enlarger-close").addEventListener("click", () => this.#dialog.close());
    byId("enlarger-previous").addEventListener("click", () => this.#step(-1));
    byId("enlarger-next").addEventListener("click", () => this.#step(1));
    this.#dialog.addEventListener("keydown", (event) => this.#press(event));
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close(); // the backdrop
    });
    this.#dialog.addEventListener("close", () => this.#onClose(this.#index));
  }

  /**
   * Show one item of a row.
   * @param {() => Item[]} items asked at each drawing: images may still be arriving
   * @param {number} index
   * @param {(index: number) => void} onClose gets the item shown last, for the focus
   */
  open(items, index, onClose) {
    this.#items = items;
    this.#index = index;
    this.#onClose = onClose;
    this.draw();
    this.#dialog.showModal();
    byId("enlarger-title").focus(); // so that a screen reader says which pair this is
  }

  /** Draw again, if open or about to be: an image may have come. */
  draw() {
    const items = this.#items();
    const item = items[this.#index];
    if (!item) return;
    byId("enlarger-title").textContent = item.title;
    byId("enlarger-pictures").replaceChildren(...item.pictures.map(figure));
    byId("enlarger-previous").disabled = this.#index === 0;
    byId("enlarger-next").disabled = this.#index === items.length - 1;
  }

  /** @returns {boolean} */
  get isOpen() {
    return this.#dialog.open;
  }

  /** Close it: what it shows is about to go. */
  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  #press(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    this.#step(by);
  }

  #step(by) {
    const next = this.#index + by;
    if (next < 0 || next >= this.#items().length) return;
    this.#index = next;
    const before = document.activeElement;
    this.draw();
    // A button that was just disabled, or a link that is gone, would take the focus with it.
    if (before?.disabled || !before?.isConnected) byId("enlarger-title").focus();
  }
}

function figure({ label, model, prefix, cell }) {
  const place = element("div", { className: "large" });
  drawCell(place, cell, `${label} image, enlarged`);
  const name = element("span", {}, element("strong", {}, label), " ", element("span", { className: "model" }, model));
  const caption = element("figcaption", {}, name);
  if (cell.url) {
    const file = `${prefix}-${fileName(cell)}`;
    caption.append(element("a", { href: cell.url, download: file, "aria-label": `Save ${file}` }, "Save"));
  }
  return element("figure", {}, place, caption);
}
