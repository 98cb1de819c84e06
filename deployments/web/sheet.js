/** The sheet of pairs: VAE left, diffusion right, each pair a button that enlarges it. */

import { byId, element } from "./elements.js";
import { WORDS } from "./images.js";
import { ROLES, ROLE_TITLES } from "./run.js";

/**
 * Draw a cell into its place: the image, or the word that stands for it.
 * @param {HTMLElement} place
 * @param {import("./images.js").Cell} cell
 * @param {string} description of the image, for those who do not see it
 */
export function drawCell(place, cell, description) {
  place.dataset.status = cell.status;
  if (cell.url) {
    const image = element("img", { src: cell.url, alt: description, decoding: "async" });
    place.replaceChildren(image);
    return;
  }
  const words = WORDS[cell.status] ?? cell.status;
  // Ten times "not there yet" would only be noise: the meters say it once.
  const quiet = cell.status === "waiting";
  place.replaceChildren(element("span", { className: quiet ? "unseen" : "word" }, words));
}

/** Shows a run. */
export class PairSheet {
  #list = byId("pairs");
  #onOpen;

  /** @param {(index: number) => void} onOpen called when a pair is to be enlarged */
  constructor(onOpen) {
    this.#onOpen = onOpen;
  }

  /**
   * Lay out a run anew.
   * @param {import("./run.js").Run} run
   */
  begin(run) {
    const items = Array.from({ length: run.count }, (_, index) => this.#pair(run, index));
    this.#list.replaceChildren(...items);
    this.#list.removeAttribute("aria-hidden");
    run.all.forEach((cell) => this.draw(cell));
  }

  /**
   * Empty frames, before there is a run.
   * @param {number} count
   */
  outline(count) {
    const half = () => element("span", { className: "half" });
    const pair = () => element("span", { className: "pair" }, half(), half());
    const frame = () => element("li", { className: "pair-item" }, pair());
    this.#list.replaceChildren(...Array.from({ length: count }, frame));
    this.#list.setAttribute("aria-hidden", "true");
  }

  /** @param {import("./images.js").Cell} cell */
  draw(cell) {
    const item = this.#list.children[cell.index];
    const half = item?.querySelector(`[data-role="${cell.role}"]`);
    if (half) drawCell(half, cell, `${ROLE_TITLES[cell.role]} image`);
  }

  /** @param {number} index of the pair whose button gets the focus */
  focus(index) {
    this.#list.children[index]?.querySelector("button")?.focus();
  }

  #pair(run, index) {
    const seed = run.seeds[index];
    const name = seed === undefined ? `Pair ${index + 1}` : `Pair ${index + 1}, seed ${seed}`;
    const halves = ROLES.map((role) => element("span", { className: "half", "data-role": role }));
    const button = element("button", { type: "button", className: "pair", "aria-label": `Enlarge ${name}` }, ...halves);
    button.addEventListener("click", () => this.#onOpen(index));
    return element("li", { className: "pair-item", "data-index": index }, button, caption(index, seed));
  }
}

function caption(index, seed) {
  const part = (className, words) => element("span", { className }, words);
  const left = element("span", {}, part("index", String(index + 1)), part("role", ROLE_TITLES.vae));
  const right = element("span", {}, part("role", "Diffusion"));
  if (seed !== undefined && seed !== null) right.append(part("seed", `seed ${seed}`));
  return element("p", { className: "caption" }, left, right);
}
