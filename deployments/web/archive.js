/** What is shown, as one zip file: images that are there, and a manifest of all. */

import { element } from "./elements.js";
import { fileName } from "./images.js";
import { zip } from "./zip.js";

/**
 * Put images and a manifest together.
 * @param {{folder: string, facts: Object, cells: import("./images.js").Cell[]}[]} groups
 * @param {Object<string, unknown>} manifest what stands above the images' list
 * @param {number} created seconds since 1970
 * @returns {Promise<Blob>}
 */
export async function archive(groups, manifest, created) {
  const files = [];
  const images = [];
  for (const { folder, facts, cells } of groups) {
    for (const cell of cells) {
      const file = cell.blob ? `${folder}/${fileName(cell)}` : null;
      images.push({ ...facts, role: cell.role, index: cell.index, seed: cell.seed, status: cell.status, file });
      if (file) files.push({ name: file, bytes: new Uint8Array(await cell.blob.arrayBuffer()) });
    }
  }
  const text = `${JSON.stringify({ ...manifest, images }, null, 2)}\n`;
  files.push({ name: "manifest.json", bytes: new TextEncoder().encode(text) });
  return zip(files, new Date(created * 1000));
}

/**
 * Hand a file to the reader's downloads.
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the download reads it after the click
}
