/** The numbers of sets as a table: what the models did and how the images spread. */

import { element } from "./elements.js";

const digits = (value, count) => (typeof value === "number" ? value.toFixed(count) : "–");

/** Row titles, their explanation, and how a set's cell reads. */
const ROWS = [
  ["Model", "", (set) => set.model ?? "–"],
  ["Diversity", "pairwise_rmse", (set) => digits(set.metrics?.pairwise_rmse, 3)],
  ["Distance from the input", "input_rmse", (set) => digits(set.metrics?.input_rmse, 3)],
  ["Sharpness", "laplacian_variance; also rises with artefacts", (set) => digits(set.metrics?.laplacian_variance, 5)],
  ["UNet calls", "", (set) => digits(set.unet_calls, 0)],
  ["Seconds", "of the model; waiting and encoding apart", (set) => seconds(set.timings_ms)],
];

/**
 * Build the table.
 * @param {{title: string, set: Object<string, any>}[]} columns
 * @returns {HTMLElement}
 */
export function numbersTable(columns) {
  const titles = columns.map(({ title }) => element("th", { scope: "col" }, title));
  const head = element("tr", {}, element("td"), ...titles);
  const told = ROWS.filter(([, , read]) => columns.some(({ set }) => read(set) !== "–"));
  const rows = told.map(([title, hint, read]) => {
    const name = element("th", { scope: "row" }, title);
    if (hint) name.append(element("small", {}, hint));
    return element("tr", {}, name, ...columns.map(({ set }) => element("td", {}, read(set))));
  });
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
  return element("div", {}, table, ...notesOf(columns));
}

/** What several sets note in the same words stands once, under all their titles. */
function notesOf(columns) {
  const titles = new Map();
  for (const { title, set } of columns) {
    const failure = set.error ? [set.error.message] : [];
    for (const note of [...failure, ...(set.notes ?? [])]) titles.set(note, [...(titles.get(note) ?? []), title]);
  }
  const items = [...titles].map(([note, of]) => element("li", {}, `${of.join(", ")}: ${note}`));
  return items.length ? [element("ul", { className: "notes", "aria-label": "Notes" }, ...items)] : [];
}

function seconds(timings) {
  if (!timings || timings.model === undefined) return "–";
  const others = ["wait", "encode"].filter((part) => timings[part] >= 50);
  const words = { wait: "waiting", encode: "encoding" };
  const beside = others.map((part) => `${digits(timings[part] / 1000, 1)} ${words[part]}`);
  return [digits(timings.model / 1000, 2), ...beside].join(" + ");
}
