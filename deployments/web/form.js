/** The parameters: fields with sliders beside them, filled with the served weights' defaults. */

import { byId, element, say } from "./elements.js";

const NAMES = [
  "diversity_factor", "strength", "prompt", "negative_prompt", "guidance_scale", "num_inference_steps", "n",
  "output_format",
];
/** Where an error of the service is shown when its parameter is no field's name. */
const PLACES = { seeds: "seed", num_images: "n" };

/** Reads and fills the fields; knows nothing of the picture. */
export class Form {
  #touched = new Set();
  #random = byId("random");
  #seed = byId("seed");

  constructor() {
    for (const field of document.querySelectorAll("[data-range]")) addSlider(field);
    for (const name of [...NAMES, "seed"]) {
      byId(name).addEventListener("input", () => {
        this.#touched.add(name);
        this.complain(name, "");
      });
    }
    this.#random.addEventListener("change", () => this.#toggleSeed());
    this.#toggleSeed(); // a browser that restores the page restores the tick, too
  }

  /**
   * Fill in what is served; what the reader changed already is left alone.
   * @param {{data: Object[], limits: Object}} served answer of `/v1/models`
   */
  fill({ data, limits }) {
    byId("n").max = limits.max_images;
    byId("n").dispatchEvent(new Event("refresh"));
    for (const card of data) {
      byId(`${card.role}-model`).textContent = card.id;
      for (const [name, value] of Object.entries(card.defaults)) {
        if (NAMES.includes(name) && !this.#touched.has(name)) this.#put(name, value);
      }
    }
  }

  /**
   * The fields of a paired request, for multipart; an empty number means the served default.
   * @returns {Array<[string, string]>}
   */
  fields() {
    const values = NAMES.map((name) => [name, byId(name).value]);
    if (!this.#random.checked) values.push(["seed", this.#seed.value]);
    return values.filter(([name, value]) => value !== "" || name.includes("prompt"));
  }

  /** @returns {string} empty when it is to be random */
  get seed() {
    return this.#random.checked ? "" : this.#seed.value;
  }

  /** @returns {number} pairs asked for */
  get count() {
    const { value, max } = byId("n");
    return Math.min(Math.max(Number(value) || 10, 1), Number(max));
  }

  /** @param {number} seed the one that the service drew, shown so that it can be kept */
  showSeed(seed) {
    this.#seed.value = String(seed);
  }

  /**
   * Show a sentence at a field, and open what hides it.
   * @param {string} param
   * @param {string} words empty: take the sentence away
   * @returns {boolean} whether there is such a field
   */
  complain(param, words) {
    const name = PLACES[param] ?? param;
    const place = document.getElementById(`${name}-error`);
    if (!place || ![...NAMES, "seed"].includes(name)) return false;
    const field = byId(name);
    say(place, words);
    if (words) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
    if (!words) return true;
    const details = field.closest("details");
    if (details) details.open = true;
    field.focus();
    return true;
  }

  /** Take all sentences away. */
  clear() {
    for (const name of [...NAMES, "seed"]) this.complain(name, "");
  }

  #put(name, value) {
    const field = byId(name);
    field.value = String(value);
    field.dispatchEvent(new Event("refresh"));
  }

  #toggleSeed() {
    this.#seed.disabled = this.#random.checked;
    if (!this.#random.checked && this.#seed.value === "") this.showSeed(7);
    this.complain("seed", "");
  }
}

/** Put a slider under a number field; the field keeps the exact value, also one between steps. */
function addSlider(field) {
  const label = document.querySelector(`label[for="${field.id}"]`);
  const slider = element("input", {
    type: "range", className: "slider", min: field.min, max: field.max, step: field.dataset.range,
    "aria-label": `${label.textContent}, slider`,
  });
  const show = () => {
    slider.max = field.max;
    slider.value = field.value;
    const share = (slider.value - slider.min) / (slider.max - slider.min || 1);
    slider.style.setProperty("--share", String(share));
  };
  slider.addEventListener("input", () => {
    field.value = slider.value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  field.addEventListener("input", show);
  field.addEventListener("refresh", show);
  field.after(slider);
  show();
}
