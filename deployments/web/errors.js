/** What can go wrong between the page and the service, in words. */

/** A failure with a sentence for the reader and, where known, the field at fault. */
export class ServiceError extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, param?: string|null, code?: string|null}} [facts]
   */
  constructor(message, { status = 0, param = null, code = null } = {}) {
    super(message);
    this.status = status;
    this.param = param;
    this.code = code;
  }
}

/**
 * Make a sentence of the service's message: it starts small and has no full stop.
 * @param {string} message
 * @returns {string}
 */
export function sentence(message) {
  const text = message.trim();
  if (!text) return "";
  // A parameter's name keeps its spelling: it is what curl and the documentation call it.
  const first = /^[a-z]+_[a-z_]+\b/.test(text) ? text[0] : text[0].toUpperCase();
  return first + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/**
 * Read the error of an answer that is not a success.
 * @param {Response} answer
 * @returns {Promise<ServiceError>}
 */
export async function errorOf(answer) {
  const body = await answer.json().catch(() => null);
  const error = body && body.error ? body.error : {};
  let message = sentence(error.message || `the service answered ${answer.status} and gave no reason`);
  const wait = Number.parseInt(answer.headers.get("Retry-After") ?? "", 10);
  if (wait > 0) message += ` Try again in ${wait} second${wait === 1 ? "" : "s"}.`;
  return new ServiceError(message, { status: answer.status, param: error.param, code: error.code });
}

/**
 * Turn what `fetch` and its streams raise into words; an abort stays an abort.
 * @param {unknown} failure
 * @param {string} message
 * @returns {unknown}
 */
export function unreachable(failure, message) {
  const aborted = failure instanceof DOMException && failure.name === "AbortError";
  if (aborted || failure instanceof ServiceError) return failure;
  return new ServiceError(message, { code: "unreachable" });
}
