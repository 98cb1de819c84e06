/** The curve of a sweep: diversity and distance from the input over the diversity factor, as SVG. */

const NAMESPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 168;
const TOP = 20;
const BOTTOM = 24;
/** Half a slider's thumb: the curve's points stand over the places of the thumb. */
const SIDE = 9;

/** What is drawn, and its words at the end of the line. */
const LINES = [
  { name: "pairwise_rmse", label: "diversity" },
  { name: "input_rmse", label: "distance from the input" },
];

/**
 * Draw the curve anew.
 * @param {HTMLElement} holder
 * @param {{diversity_factor: number, metrics: Object<string, number>|null}[]} sets
 * @param {number} selected index of the factor that is shown
 */
export function drawCurve(holder, sets, selected) {
  const width = holder.clientWidth || 600;
  const most = Math.max(...sets.flatMap((set) => LINES.map(({ name }) => set.metrics?.[name] ?? 0))) || 1;
  const x = (index) => SIDE + ((width - 2 * SIDE) * index) / Math.max(sets.length - 1, 1);
  const y = (value) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * value) / most;
  const svg = node("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img" });
  svg.setAttribute("aria-label", description(sets));
  svg.append(node("line", { class: "base", x1: 0, x2: width, y1: y(0), y2: y(0) }));
  svg.append(node("line", { class: "top", x1: 0, x2: width, y1: y(most), y2: y(most) }));
  svg.append(label({ class: "tick", x: 0, y: y(most) - 4 }, most.toFixed(2)));
  svg.append(node("line", { class: "marker", x1: x(selected), x2: x(selected), y1: TOP - 8, y2: y(0) }));
  sets.forEach((set, index) => svg.append(tick(set, x(index), index === selected)));
  for (const line of LINES) svg.append(...drawLine(line, sets, selected, x, y));
  holder.replaceChildren(svg);
}

function drawLine({ name }, sets, selected, x, y) {
  const points = sets.flatMap((set, index) => (set.metrics ? [[x(index), y(set.metrics[name])]] : []));
  const path = node("polyline", { class: `line ${name}`, points: points.map((point) => point.join(",")).join(" ") });
  const value = sets[selected]?.metrics?.[name];
  if (value === undefined) return [path];
  return [path, node("circle", { class: `dot ${name}`, cx: x(selected), cy: y(value), r: 4 })];
}

function tick(set, x, isSelected) {
  const className = isSelected ? "tick selected" : "tick";
  return label({ class: className, x, y: HEIGHT - 6, "text-anchor": "middle" }, String(set.diversity_factor));
}

function label(attributes, words) {
  const text = node("text", attributes);
  text.textContent = words;
  return text;
}

function description(sets) {
  const rows = sets.filter((set) => set.metrics).map(({ diversity_factor: factor, metrics }) => {
    const values = LINES.map(({ name, label }) => `${label} ${metrics[name].toFixed(3)}`);
    return `factor ${factor}: ${values.join(", ")}`;
  });
  return `Curve over the diversity factor. ${rows.join("; ")}`;
}

function node(tag, attributes) {
  const built = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) built.setAttribute(name, String(value));
  return built;
}
