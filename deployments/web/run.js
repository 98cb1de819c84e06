/** One paired request, as far as its events have told. */

import { cellOf, release, waitingCell } from "./images.js";

/** Roles in the order of the page: left, right. */
export const ROLES = ["vae", "stable_diffusion"];

/** What the roles are called on the page. */
export const ROLE_TITLES = { vae: "VAE", stable_diffusion: "Stable Diffusion" };

/** Collects events; the views read it. */
export class Run {
  started = null;
  sets = {};
  progress = {};
  #cells;

  /** @param {number} count of pairs; corrected by the `started` event */
  constructor(count) {
    this.#cells = this.#waiting(Array.from({ length: count }, () => null));
  }

  /**
   * Take one event in.
   * @param {Object<string, any>} event
   * @returns {import("./images.js").Cell[]} the cells that it changed
   */
  take(event) {
    if (event.type === "started") return this.#start(event);
    if (event.type === "image") return this.#fill(event);
    if (event.type === "progress") this.progress[event.role] = { step: event.step, total: event.total };
    if (event.type === "set") this.sets[event.role] = event;
    if (event.type === "completed") this.sets = { ...this.sets, ...event.sets };
    return [];
  }

  /** @returns {number} */
  get count() {
    return this.#cells.vae.length;
  }

  /** @returns {number[]} empty before the service has resolved them */
  get seeds() {
    return this.started ? this.started.parameters.seeds : [];
  }

  /**
   * @param {string} role
   * @returns {import("./images.js").Cell[]}
   */
  cells(role) {
    return this.#cells[role];
  }

  /** @returns {import("./images.js").Cell[]} of both roles, VAE first */
  get all() {
    return ROLES.flatMap((role) => this.#cells[role]);
  }

  /**
   * @param {string} role
   * @returns {string} the id of the weights, empty before it is known
   */
  model(role) {
    return this.sets[role]?.model ?? this.started?.models?.[role]?.model ?? "";
  }

  /**
   * Nothing more will come: mark what is not there.
   * @param {"stopped"|"missing"} status
   * @returns {import("./images.js").Cell[]} the marked cells
   */
  end(status) {
    const waiting = this.all.filter((cell) => cell.status === "waiting");
    for (const cell of waiting) cell.status = status;
    return waiting;
  }

  /** Give the images' memory back. */
  release() {
    this.all.forEach(release);
  }

  #start(event) {
    this.started = event;
    this.#cells = this.#waiting(event.parameters.seeds);
    return this.all;
  }

  #fill(event) {
    const place = this.#cells[event.role]?.[event.index];
    if (!place) return [];
    release(place);
    Object.assign(place, cellOf(event.role, event));
    return [place];
  }

  #waiting(seeds) {
    const row = (role) => seeds.map((seed, index) => waitingCell(role, index, seed));
    return Object.fromEntries(ROLES.map((role) => [role, row(role)]));
  }
}
