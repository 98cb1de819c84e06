/** Elements of the page, found and built; text is always set as text. */

/**
 * Find an element of index.html.
 * @param {string} id
 * @returns {any} the element; a missing one is a mistake of ours and raises
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no element "${id}"`);
  return found;
}

/**
 * Build an element.
 * @param {string} tag
 * @param {Object<string, unknown>} [properties] DOM properties; names with a dash become attributes
 * @param {...(Node|string)} children
 * @returns {any}
 */
export function element(tag, properties = {}, ...children) {
  const built = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") built.setAttribute(name, String(value));
    else built[name] = value;
  }
  built.append(...children);
  return built;
}

/**
 * Show words in an element, or hide it when there are none.
 * @param {HTMLElement} target
 * @param {string} words
 */
export function say(target, words) {
  if (target.textContent === words && target.hidden === !words) return; // an alert is not said twice
  target.textContent = words;
  target.hidden = !words;
}
