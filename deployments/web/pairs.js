/** A run on the page: followed while it is made, then kept, enlarged, counted. */

import { showActions } from "./actions.js";
import { Archive, save } from "./archive.js";
import { byId } from "./elements.js";
import { numbersTable } from "./numbers.js";
import { PairSheet } from "./sheet.js";
import { pairsCommand } from "./request.js";
import { ROLES, ROLE_TITLES, Run } from "./run.js";

const OUTLINES = 10;

/** Shows the last run that began. */
export class PairsView {
  #sheet = new PairSheet((index) => this.#enlarge(index));
  #enlarger;
  #meters;
  #run = null;

  /**
   * @param {import("./enlarger.js").Enlarger} enlarger
   * @param {import("./meters.js").Meters} meters
   */
  constructor(enlarger, meters) {
    this.#enlarger = enlarger;
    this.#meters = meters;
    this.#sheet.outline(OUTLINES);
  }

  /** @returns {number|null} of the run that is shown */
  get firstSeed() {
    return this.#run?.seeds[0] ?? null;
  }

  /**
   * Show a run while its events come.
   * @param {AsyncIterable<Object<string, any>>} events
   * @param {number} count of pairs asked for
   * @param {{fileName: string, crop: string, hasKey: boolean}} sent
   * @param {(seed: number) => void} onSeed gets the first seed once it is resolved
   */
  async follow(events, count, sent, onSeed) {
    const run = new Run(count);
    const before = this.#meters.words;
    this.#meters.draw(run);
    let end = "missing";
    try {
      for await (const event of events) {
        const changed = run.take(event);
        if (event.type === "started") {
          this.#replace(run);
          onSeed(run.seeds[0]);
        }
        this.#draw(run, changed);
      }
      this.#meters.say(summary(run));
    } catch (failure) {
      if (failure.name === "AbortError") end = "stopped";
      this.#meters.say(run.started ? remains(run, end) : before); // else the last run is still there
      throw failure;
    } finally {
      this.#finish(run, end, sent);
    }
  }

  /** The last run stays on the page until the new one has really begun. */
  #replace(run) {
    this.#enlarger.close();
    this.#run?.release();
    this.#run = run;
    byId("pairs-actions").hidden = true;
    byId("numbers").hidden = true;
    this.#sheet.begin(run);
  }

  #draw(run, changed) {
    changed.forEach((cell) => this.#sheet.draw(cell));
    this.#meters.draw(run);
    if (changed.length && this.#enlarger.isOpen) this.#enlarger.draw();
  }

  #finish(run, end, sent) {
    this.#meters.hide();
    if (!run.started) return;
    run.end(end).forEach((cell) => this.#sheet.draw(cell));
    if (run.all.some((cell) => cell.url)) {
      showActions(byId("pairs-actions"), {
        download: () => this.#download(run),
        command: () => pairsCommand(sent, run.started.parameters),
      });
    }
    const told = ROLES.filter((role) => run.sets[role]);
    const columns = told.map((role) => ({ title: ROLE_TITLES[role], set: run.sets[role] }));
    if (!columns.length) return;
    byId("numbers").replaceChildren(byId("numbers-title"), numbersTable(columns));
    byId("numbers").hidden = false;
  }

  #enlarge(index) {
    const items = () => Array.from({ length: this.#run.count }, (_, place) => pairItem(this.#run, place));
    this.#enlarger.open(items, index, (last) => this.#sheet.focus(last));
  }

  async #download(run) {
    const { id, created, parameters, input } = run.started;
    const archive = new Archive();
    const pairs = run.seeds.map((seed, index) => {
      const images = ROLES.map((role) => [role, archive.add(role, run.cells(role)[index])]);
      return { index, seed, ...Object.fromEntries(images) };
    });
    const file = await archive.finish({ id, created, parameters, input, pairs, sets: run.sets });
    save(file, `twinset-${id.slice(0, 8)}.zip`);
  }
}

function pairItem(run, index) {
  const pictures = ROLES.map((role) => ({
    label: ROLE_TITLES[role], model: run.model(role), prefix: role, cell: run.cells(role)[index],
  }));
  return { title: `Pair ${index + 1} of ${run.count}, seed ${run.seeds[index]}`, pictures };
}

function countThere(run) {
  return run.all.filter((cell) => cell.status === "ok").length;
}

function remains(run, end) {
  const words = end === "stopped" ? "Stopped" : "Not finished";
  const there = countThere(run);
  return there ? `${words}: ${there} of ${run.all.length} images are there.` : `${words} before the first image.`;
}

function summary(run) {
  const there = countThere(run);
  const pairs = `${run.count} pair${run.count === 1 ? "" : "s"}`;
  if (there === run.all.length) return `${pairs} made, seeds ${run.seeds[0]} to ${run.seeds.at(-1)}.`;
  return `${pairs}: ${there} of ${run.all.length} images are there; the others say why.`;
}
