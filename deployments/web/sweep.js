/** The sweep: one factor's images at a time under a curve whose axis is the slider. */

import { showActions } from "./actions.js";
import { Archive, save } from "./archive.js";
import { drawCurve } from "./curve.js";
import { byId, element } from "./elements.js";
import { cellOf, release } from "./images.js";
import { numbersTable } from "./numbers.js";
import { drawCell } from "./sheet.js";
import { sweepCommand } from "./request.js";

const LEGEND = [["pairwise_rmse", "diversity"], ["input_rmse", "distance from the input"]];

/** Shows the answer of `/v1/sweep`. */
export class SweepView {
  #slider = byId("factor");
  #list = byId("sweep-images");
  #status = byId("sweep-status");
  #legend = element("p", { className: "legend" });
  #enlarger;
  #answer = null;
  #rows = [];
  #selected = 0;

  /** @param {import("./enlarger.js").Enlarger} enlarger */
  constructor(enlarger) {
    this.#enlarger = enlarger;
    byId("curve").before(this.#legend);
    this.#slider.addEventListener("input", () => this.#select(Number(this.#slider.value)));
    // The curve is drawn in pixels, so that its points stand over the slider's at any width.
    new ResizeObserver(() => this.#answer && this.#curve()).observe(byId("curve"));
  }

  /**
   * Say that a sweep is under way, then show it in place of the last one.
   * @param {Promise<Object<string, any>>} coming
   * @param {{fileName: string, crop: string, hasKey: boolean}} sent
   * @param {number} factor to begin with; the nearest one is shown
   */
  async follow(coming, sent, factor) {
    this.#status.textContent = "Sweeping: ten images at each diversity factor.";
    try {
      const answer = await coming;
      this.#show(answer, sent, factor);
      this.#status.textContent = `Swept ${answer.sets.length} diversity factors.`;
    } catch (failure) {
      this.#status.textContent = failure.name === "AbortError" ? "Stopped." : "";
      throw failure;
    }
  }

  #show(answer, sent, factor) {
    this.#rows.flat().forEach(release);
    this.#answer = answer;
    this.#rows = answer.sets.map((set) => (set.images ?? []).map((image) => cellOf("vae", image)));
    this.#slider.max = String(answer.sets.length - 1);
    byId("sweep-view").hidden = false;
    showActions(byId("sweep-actions"), {
      download: () => this.#download(),
      command: () => sweepCommand(sent, answer.parameters),
    });
    const distances = answer.sets.map((set) => Math.abs(set.diversity_factor - factor));
    this.#select(distances.indexOf(Math.min(...distances)));
  }

  #select(index) {
    const set = this.#answer.sets[index];
    this.#selected = index;
    this.#slider.value = String(index);
    this.#slider.setAttribute("aria-valuetext", `diversity factor ${set.diversity_factor}`);
    byId("factor-value").textContent = String(set.diversity_factor);
    this.#list.replaceChildren(...this.#rows[index].map((cell) => this.#single(cell)));
    const table = numbersTable([{ title: `Factor ${set.diversity_factor}`, set }]);
    byId("sweep-numbers").replaceChildren(byId("sweep-numbers-title"), table);
    this.#curve();
  }

  #curve() {
    const metrics = this.#answer.sets[this.#selected].metrics;
    this.#legend.replaceChildren(...LEGEND.map(([name, label]) => {
      const value = element("b", {}, metrics ? metrics[name].toFixed(3) : "–");
      return element("span", { className: `key ${name}` }, `${label} `, value);
    }));
    drawCurve(byId("curve"), this.#answer.sets, this.#selected);
  }

  #single(cell) {
    const place = element("span", { className: "half", "data-role": "vae" });
    drawCell(place, cell, "VAE image");
    const name = `Enlarge image ${cell.index + 1}, seed ${cell.seed}`;
    const button = element("button", { type: "button", className: "pair single", "aria-label": name }, place);
    button.addEventListener("click", () => this.#enlarge(cell.index));
    return element("li", {}, button, element("p", { className: "caption" }, element("span", {}, `seed ${cell.seed}`)));
  }

  #enlarge(index) {
    const focus = (last) => this.#list.children[last]?.querySelector("button")?.focus();
    this.#enlarger.open(() => this.#rows[this.#selected].map((cell) => this.#item(cell)), index, focus);
  }

  #item(cell) {
    const { diversity_factor: factor, model = "" } = this.#answer.sets[this.#selected];
    const picture = { label: "VAE", model, prefix: `vae-factor-${factor}`, cell };
    return { title: `Diversity factor ${factor}, seed ${cell.seed}`, pictures: [picture] };
  }

  async #download() {
    const { id, created, parameters, input, sets } = this.#answer;
    const archive = new Archive();
    const shown = sets.map((set, place) => {
      const folder = `vae/factor-${set.diversity_factor}`;
      const images = this.#rows[place].map((cell) => (
        { index: cell.index, seed: cell.seed, ...archive.add(folder, cell) }));
      return { ...set, images };
    });
    const file = await archive.finish({ id, created, parameters, input, sets: shown });
    save(file, `twinset-sweep-${id.slice(0, 8)}.zip`);
  }
}
