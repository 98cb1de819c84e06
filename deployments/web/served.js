/** What is served, in the page's small print. */

import { byId, say } from "./elements.js";
import { sentence } from "./errors.js";

/**
 * Say what the weights are and under which licences.
 * @param {{data: Object<string, any>[]}} served answer of `/v1/models`
 */
export function describe({ data }) {
  // Both demo models have the same note: once is enough.
  const notes = new Set(data.filter((card) => card.demo).map((card) => card.note));
  const simulated = data.some((card) => card.simulated);
  const words = [...notes].map((note) => sentence(note));
  if (simulated) words.push("Simulated models: these images were made without a model.");
  say(byId("demo-note"), words.join(" "));
  const licences = data.filter((card) => card.licence).map((card) => `${card.id} (${card.licence})`);
  say(byId("licences"), licences.length ? `Weights: ${licences.join(", ")}.` : "");
}
