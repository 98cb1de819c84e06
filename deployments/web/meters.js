/** How far each model is, as its events say: a bar and words. */

import { byId, element } from "./elements.js";
import { ROLES, ROLE_TITLES } from "./run.js";

/** One bar per model, one line of words for all. */
export class Meters {
  #holder = byId("meters");
  #status = byId("pairs-status");
  #bars = {};
  #spoken = byId("pairs-status").textContent;

  constructor() {
    for (const role of ROLES) {
      const id = `meter-${role}`;
      const words = element("span", { className: "meter-words" });
      const bar = element("progress", { id });
      const label = element("label", { htmlFor: id }, ROLE_TITLES[role]);
      this.#bars[role] = { bar, words };
      this.#holder.append(element("div", { className: "meter" }, label, words, bar));
    }
  }

  /** @param {import("./run.js").Run} run */
  draw(run) {
    this.#holder.hidden = false;
    for (const role of ROLES) this.#drawOne(run, role);
    this.#announce(run);
  }

  /**
   * Say one sentence, politely.
   * @param {string} words
   */
  say(words) {
    if (words === this.#spoken) return;
    this.#spoken = words;
    this.#status.textContent = words;
  }

  /** @returns {string} what was said last */
  get words() {
    return this.#spoken;
  }

  /** Take the bars away; the words stay. */
  hide() {
    this.#holder.hidden = true;
  }

  #drawOne(run, role) {
    const { bar, words } = this.#bars[role];
    const steps = run.progress[role];
    const there = run.cells(role).filter((cell) => cell.status !== "waiting").length;
    const done = (steps?.step ?? 0) + there;
    if (done) {
      bar.max = (steps?.total ?? 0) + run.count;
      bar.value = done;
    } else {
      bar.removeAttribute("value"); // waiting for its turn: no share to show yet
    }
    words.textContent = meterWords(run, role, steps, there);
  }

  /** At each step a screen reader would talk without end: it hears the milestones. */
  #announce(run) {
    const ready = ROLES.filter((role) => run.cells(role).every((cell) => cell.status !== "waiting"));
    if (!run.started) this.say("Sending the picture.");
    else if (ready.length === 0) this.say(`Making ${run.count} pairs.`);
    else if (ready.length === 1) this.say(`The ${ROLE_TITLES[ready[0]]} images are there; the others are being made.`);
  }
}

function meterWords(run, role, steps, there) {
  if (there === run.count) return `${there} image${there === 1 ? "" : "s"}`;
  if (there) return `${there} of ${run.count} images`;
  if (steps) return `step ${steps.step} of ${steps.total}`;
  return run.started ? "waiting for its turn" : "";
}
