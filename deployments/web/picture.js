/** The input picture: chosen, dropped, pasted or the sample; checked and shown with its crop. */

import { Cropper } from "./cropper.js";
import { byId, say } from "./elements.js";

/** @typedef {Object<string, number>} Limits */

/** Holds the picture that will be sent. */
export class Picture {
  #panel = byId("picture");
  #shown = byId("shown");
  #error = byId("image-error");
  #file = null;
  #limits = null;
  #url = "";
  #cropper = new Cropper(() => this.complain(""));

  constructor() {
    const input = byId("file");
    byId("choose").addEventListener("click", () => input.click());
    byId("sample").addEventListener("click", () => this.#sample());
    input.addEventListener("change", () => {
      if (input.files.length) this.take(input.files[0]);
      input.value = ""; // choosing the same file again is a change, too
    });
    this.#acceptDrops();
    document.addEventListener("paste", (event) => {
      const [file] = event.clipboardData?.files ?? [];
      if (file) this.take(file);
    });
  }

  /** @returns {File|null} */
  get file() {
    return this.#file;
  }

  /** @returns {string} */
  get crop() {
    return this.#cropper.value;
  }

  /** @param {Limits} limits of `/v1/models` */
  set limits(limits) {
    this.#limits = limits;
    if (this.#file) this.complain(this.#objection(this.#file, sizeOf(this.#shown)));
  }

  /**
   * Show a sentence at the picture; an empty one takes it away.
   * @param {string} words
   */
  complain(words) {
    say(this.#error, words);
  }

  /**
   * Why the picture cannot be sent, in words; also shown at the picture.
   * @returns {string} empty when it can
   */
  check() {
    const words = this.#file
      ? this.#objection(this.#file, sizeOf(this.#shown))
      : this.#error.textContent || "Choose a picture first, or use the sample face.";
    this.complain(words);
    return words;
  }

  /**
   * Take a file as the picture, if it is one.
   * @param {File} file
   */
  async take(file) {
    this.#drop();
    const tooLong = this.#objection(file, null);
    if (tooLong) return this.complain(tooLong);
    const url = URL.createObjectURL(file);
    this.#shown.src = url;
    try {
      await this.#shown.decode();
    } catch {
      URL.revokeObjectURL(url);
      // Another picture may have been taken while this one was being decoded.
      if (this.#shown.src === url) this.#refuse(file);
      return;
    }
    if (this.#shown.src !== url) return URL.revokeObjectURL(url);
    this.#show(file, url);
  }

  #show(file, url) {
    this.#url = url;
    this.#file = file;
    this.#shown.alt = `Input picture ${file.name}`;
    this.#reveal(true);
    const size = sizeOf(this.#shown);
    this.#cropper.begin(size, this.#limits?.min_side_px ?? 64);
    this.complain(this.#objection(file, size));
  }

  #refuse(file) {
    this.#shown.removeAttribute("src");
    this.complain(`“${file.name}” cannot be shown as a picture: choose a complete JPEG, PNG or WebP file.`);
  }

  #drop() {
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = "";
    this.#file = null;
    this.#reveal(false);
    this.complain("");
  }

  #reveal(there) {
    for (const id of ["frame", "crop-fields", "crop-help"]) byId(id).hidden = !there;
    this.#panel.toggleAttribute("data-empty", !there);
    byId("choose").textContent = there ? "Choose another" : "Choose a picture";
  }

  async #sample() {
    try {
      const answer = await fetch("/web/sample-face.png");
      if (!answer.ok) throw new Error();
      await this.take(new File([await answer.blob()], "sample-face.png", { type: "image/png" }));
    } catch {
      this.complain("The sample face cannot be loaded: check that the service runs.");
    }
  }

  #acceptDrops() {
    const mark = (on) => this.#panel.toggleAttribute("data-over", on);
    document.addEventListener("dragover", (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault(); // otherwise the browser opens the file in place of the page
      mark(true);
    });
    document.addEventListener("dragleave", (event) => event.relatedTarget ?? mark(false));
    document.addEventListener("drop", (event) => {
      mark(false);
      const [file] = event.dataTransfer.files;
      if (!file) return;
      event.preventDefault();
      this.take(file);
    });
  }

  /** The service's own checks, made here as well: what would be refused is not uploaded. */
  #objection(file, size) {
    const limits = this.#limits;
    if (!limits) return "";
    const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
    if (file.size > limits.max_bytes) {
      return `The file has ${megabytes(file.size)}: at most ${megabytes(limits.max_bytes)} are taken.`;
    }
    return size ? sizeObjection(size, limits) : "";
  }
}

function sizeOf(image) {
  return { width: image.naturalWidth, height: image.naturalHeight };
}

function sizeObjection({ width, height }, limits) {
  const short = Math.min(width, height);
  const long = Math.max(width, height);
  const where = `The picture is ${width} × ${height} pixels`;
  if (short < limits.min_side_px) return `${where}: each side needs at least ${limits.min_side_px}.`;
  if (long > limits.max_side_px) return `${where}: a side may have at most ${limits.max_side_px}.`;
  if (width * height > limits.max_pixels) return `${where}: at most ${limits.max_pixels} in all are taken.`;
  if (long > limits.max_aspect * short) {
    return `${where}: the longer side may be at most ${limits.max_aspect} times the shorter.`;
  }
  return "";
}
