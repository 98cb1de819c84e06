/** What a request was, so that it can be described and repeated. */

import { curlCommand, seedFields } from "./curl.js";

/** Parameters of the answer that are fields of the request under the same name. */
const SAME_NAMES = [
  "diversity_factor", "prompt", "negative_prompt", "strength", "guidance_scale", "num_inference_steps", "output_format",
];

/**
 * Build the multipart body.
 * @param {File} file
 * @param {Array<[string, string]>} fields
 * @returns {FormData}
 */
export function multipart(file, fields) {
  const form = new FormData();
  form.append("image", file, file.name);
  for (const [name, value] of fields) form.append(name, value);
  return form;
}

/**
 * The command that repeats a paired request, with the seeds and defaults that the service resolved.
 * @param {{fileName: string, crop: string, hasKey: boolean}} sent
 * @param {Object<string, any>} parameters of the `started` event
 * @returns {string}
 */
export function pairsCommand(sent, parameters) {
  const known = SAME_NAMES.filter((name) => parameters[name] !== undefined && parameters[name] !== null);
  const fields = [...seedFields(parameters.seeds), ...known.map((name) => [name, String(parameters[name])])];
  return command("/v1/pairs", sent, fields, "pairs.json");
}

/**
 * The command that repeats a sweep.
 * @param {{fileName: string, crop: string, hasKey: boolean}} sent
 * @param {Object<string, any>} parameters of the answer
 * @returns {string}
 */
export function sweepCommand(sent, parameters) {
  const fields = [...seedFields(parameters.seeds), ["diversity_factors", parameters.diversity_factors.join(",")]];
  if (parameters.output_format) fields.push(["output_format", parameters.output_format]);
  return command("/v1/sweep", sent, fields, "sweep.json");
}

function command(path, { fileName, crop, hasKey }, fields, output) {
  const url = new URL(path, document.baseURI).href;
  return curlCommand({ url, fileName, fields: [...fields, ["crop", crop]], hasKey, output });
}
