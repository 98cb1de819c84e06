/** What can be done with what is shown: keep it as a zip, repeat it with curl. */

import { element } from "./elements.js";

/**
 * Fill the row of actions under a sheet.
 * @param {HTMLElement} holder
 * @param {{download: () => Promise<void>, command: () => string}} actions
 */
export function showActions(holder, { download, command }) {
  const zip = button("Download as zip", download);
  const words = element("span", { className: "help", role: "status" });
  const facts = { className: "command", readOnly: true, hidden: true, "aria-label": "curl command" };
  const shown = element("textarea", facts);
  const copy = button("Copy as curl", () => copyCommand(command(), shown, words));
  holder.replaceChildren(zip, copy, words, shown);
  holder.hidden = false;
}

/** The command is shown as well: outside of localhost and HTTPS a page may not write the clipboard. */
async function copyCommand(text, shown, words) {
  shown.value = text;
  shown.rows = text.split("\n").length;
  shown.hidden = false;
  try {
    await navigator.clipboard.writeText(text);
    words.textContent = "Copied. It expects the picture beside you, under its name.";
  } catch {
    shown.focus();
    shown.select();
    words.textContent = "Copy the marked text. It expects the picture beside you, under its name.";
  }
}

function button(words, onClick) {
  const built = element("button", { type: "button", className: "quiet" }, words);
  built.addEventListener("click", onClick);
  return built;
}
