/** A request as a curl command that can be pasted into a POSIX shell. */

/** Text that a person writes: curl must not read a leading @ or < as a file's name. */
const TEXTS = new Set(["prompt", "negative_prompt"]);

/**
 * Quote for a POSIX shell.
 * @param {string} text
 * @returns {string}
 */
export function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * The seeds as the shortest fields that name them.
 * @param {number[]} seeds
 * @returns {Array<[string, string]>}
 */
export function seedFields(seeds) {
  const consecutive = seeds.every((seed, index) => seed === (seeds[0] + index) % 2 ** 32);
  if (!consecutive) return [["seeds", seeds.join(",")]];
  return [["n", String(seeds.length)], ["seed", String(seeds[0])]];
}

/**
 * Write the command.
 * @param {{url: string, fileName: string, fields: Array<[string, string]>, hasKey: boolean, output: string}} request
 * @returns {string}
 */
export function curlCommand({ url, fileName, fields, hasKey, output }) {
  const parts = ["curl -sS --fail-with-body"];
  if (hasKey) parts.push(`-H ${quoted("Authorization: Bearer YOUR_API_KEY")}`);
  parts.push(`-F ${quoted(`image=@${formFile(fileName)}`)}`);
  for (const [name, value] of fields) {
    parts.push(`${TEXTS.has(name) ? "--form-string" : "-F"} ${quoted(`${name}=${value}`)}`);
  }
  parts.push(`-o ${quoted(output)}`, quoted(url));
  return parts.join(" \\\n  ");
}

/** curl ends a file's name at ; or , unless it stands in quotation marks. */
function formFile(name) {
  const path = name.startsWith("-") ? `./${name}` : name;
  if (!/[;,"\\]/.test(path)) return path;
  return `"${path.replace(/[\\"]/g, "\\$&")}"`;
}
