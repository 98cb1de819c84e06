/** The service's HTTP interface, as far as the page uses it. */

import { ServiceError, errorOf, sentence, unreachable } from "./errors.js";
import { readEvents } from "./events.js";

const AWAY = "The service cannot be reached. Check that it runs, then try again.";
const BROKEN = "The connection broke before everything was made. What arrived is shown; make it again for the rest.";

/** Calls the service; holds the API key in memory alone. */
export class Service {
  #key = "";

  /** @param {string} key empty for none */
  useKey(key) {
    this.#key = key.trim();
  }

  /** @returns {boolean} */
  get hasKey() {
    return this.#key !== "";
  }

  /**
   * What is served, with defaults and limits.
   * @returns {Promise<{data: Object[], limits: Object}>}
   */
  async models() {
    return (await this.#fetch("/v1/models", {})).json();
  }

  /**
   * Yield the events of a paired request as they come.
   * @param {FormData} form
   * @param {AbortSignal} signal aborting it cancels the work on the service
   * @returns {AsyncGenerator<Object<string, any>>} the last one is `completed`
   */
  async *pairs(form, signal) {
    const answer = await this.#fetch("/v1/pairs", { method: "POST", body: form, signal }, "text/event-stream");
    try {
      for await (const event of readEvents(answer.body)) {
        if (event.type === "error") throw streamError(event.error);
        yield event;
        if (event.type === "completed") return;
      }
    } catch (failure) {
      throw unreachable(failure, BROKEN);
    }
    throw new ServiceError(BROKEN, { code: "unreachable" });
  }

  /**
   * The VAE's sets over a row of diversity factors.
   * @param {FormData} form
   * @param {AbortSignal} signal
   * @returns {Promise<Object<string, any>>}
   */
  async sweep(form, signal) {
    const answer = await this.#fetch("/v1/sweep", { method: "POST", body: form, signal });
    try {
      return await answer.json();
    } catch (failure) {
      throw unreachable(failure, BROKEN);
    }
  }

  async #fetch(path, options, accept = "application/json") {
    const headers = { Accept: accept };
    if (this.#key) headers.Authorization = `Bearer ${this.#key}`;
    let answer;
    try {
      answer = await fetch(path, { ...options, headers, cache: "no-store" });
    } catch (failure) {
      throw unreachable(failure, AWAY);
    }
    if (!answer.ok) throw await errorOf(answer);
    return answer;
  }
}

function streamError(error) {
  const { message = "the service failed and gave no reason", param, code } = error ?? {};
  return new ServiceError(sentence(message), { param, code });
}
