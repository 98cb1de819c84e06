/** Server-sent events read from the body of a POST, which EventSource cannot send. */

import { ServiceError } from "./errors.js";

/**
 * Yield the JSON object of each event; comments (pings) are passed over.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<Object<string, any>>}
 */
export async function* readEvents(body) {
  for await (const block of blocksOf(body)) {
    const lines = block.split("\n").filter((line) => line.startsWith("data:"));
    const data = lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
    if (data) yield parse(data);
  }
}

/** Yield the text between blank lines; a block that the stream's end cuts off is dropped. */
async function* blocksOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      // A carriage return may be the last of its chunk: it waits for its line feed in `text`.
      text = (text + value).replaceAll("\r\n", "\n");
      const blocks = text.split("\n\n");
      text = blocks.pop();
      yield* blocks;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    throw new ServiceError("The service sent an event that cannot be read.");
  }
}
