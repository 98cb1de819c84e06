/** Images of the answer: base64 to files that the page shows, enlarges and saves. */

/**
 * One image at its place.
 * @typedef {{role: string, index: number, seed: number|null, status: string, format: string|null,
 *   blob: Blob|null, url: string}} Cell
 */

/** What stands at the place of an image that is not there. */
export const WORDS = {
  waiting: "not there yet",
  failed: "failed",
  filtered: "withheld by a filter",
  cancelled: "cancelled",
  stopped: "stopped",
  missing: "not made",
};

/**
 * @param {string} role
 * @param {number} index
 * @param {number|null} [seed]
 * @returns {Cell}
 */
export function waitingCell(role, index, seed = null) {
  return { role, index, seed, status: "waiting", format: null, blob: null, url: "" };
}

/**
 * @param {string} role
 * @param {{index: number, seed: number, status: string, format: string|null, b64_json: string|null}} image
 * @returns {Cell}
 */
export function cellOf(role, image) {
  const { index, seed, status, format, b64_json: base64 } = image;
  if (status !== "ok" || !base64) {
    return { ...waitingCell(role, index, seed), status: status === "ok" ? "failed" : status };
  }
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const blob = new Blob([bytes], { type: `image/${format}` });
  return { role, index, seed, status, format, blob, url: URL.createObjectURL(blob) };
}

/** @param {Cell} cell */
export function release(cell) {
  if (cell.url) URL.revokeObjectURL(cell.url);
}

/**
 * The file's name: `00-seed-7.png`.
 * @param {Cell} cell
 * @returns {string}
 */
export function fileName({ index, seed, format }) {
  return `${String(index).padStart(2, "0")}-seed-${seed}.${format}`;
}
