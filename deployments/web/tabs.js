/** Two tabs over one place: arrow keys move between them, as the ARIA pattern for tabs has it. */

import { byId } from "./elements.js";

/** Shows one panel at a time. */
export class Tabs {
  #tabs;

  /** @param {string[]} names each with a `<name>-tab` and a `<name>-panel` in index.html */
  constructor(names) {
    this.#tabs = names.map((name) => ({ name, tab: byId(`${name}-tab`), panel: byId(`${name}-panel`) }));
    this.#tabs.forEach(({ name, tab }, index) => {
      tab.addEventListener("click", () => this.select(name));
      tab.addEventListener("keydown", (event) => this.#press(event, index));
    });
  }

  /** @param {string} name */
  select(name) {
    for (const one of this.#tabs) {
      const chosen = one.name === name;
      one.tab.setAttribute("aria-selected", String(chosen));
      one.tab.tabIndex = chosen ? 0 : -1;
      one.panel.hidden = !chosen;
    }
  }

  #press(event, index) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    const next = this.#tabs[(index + by + this.#tabs.length) % this.#tabs.length];
    this.select(next.name);
    next.tab.focus();
  }
}
