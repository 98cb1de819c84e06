/** What is shown as one zip file, laid out like the service's own: images and a manifest. */

import { element } from "./elements.js";
import { fileName } from "./images.js";
import { zip } from "./zip.js";

/** Collects images; the manifest names each one's file in place of its content, as the service's does. */
export class Archive {
  #files = [];

  /**
   * Add an image, if it is there.
   * @param {string} folder
   * @param {import("./images.js").Cell} cell
   * @returns {{status: string, format: string|null, file?: string}} its place in the manifest
   */
  add(folder, cell) {
    const { status, format, blob } = cell;
    if (!blob) return { status, format };
    const file = `${folder}/${fileName(cell)}`;
    this.#files.push({ name: file, blob });
    return { status, format, file };
  }

  /**
   * Close the archive with its manifest.
   * @param {Object<string, unknown>} manifest
   * @returns {Promise<Blob>}
   */
  async finish(manifest) {
    const text = `${JSON.stringify(manifest, null, 2)}\n`;
    const all = [...this.#files, { name: "manifest.json", blob: new Blob([text]) }];
    const read = all.map(async ({ name, blob }) => ({ name, bytes: new Uint8Array(await blob.arrayBuffer()) }));
    return zip(await Promise.all(read));
  }
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
