/** One batch over REST. Answers what came of it, and never throws. */
import { wireBatch } from "../queue/entry.ts";
import type { Item } from "../queue/queue.ts";
import type { Result } from "./socket.ts";

const DEADLINE = 20_000;
/** Below this, gzip costs more than it saves. */
const WORTH_ZIPPING = 1_024;
/** All keepalive requests of a page together may have 64 KiB. */
export const KEEPALIVE_BYTES = 60_000;

export interface Answer {
  /** The HTTP status; 0 = no answer, or one that is no answer. */
  status_: number;
  results_?: Result[];
  /** Milliseconds that the server asked to wait. */
  retryAfter_?: number;
}

const send = async (url: string, type: string, body: BodyInit, request: RequestInit): Promise<Answer> => {
  try {
    const response = await fetch(url, {
      method: "POST",
      body,
      ...request,
      headers: { "Content-Type": type, ...request.headers },
    });
    const { ok, status: status_, headers } = response;
    return ok
      ? { status_, results_: ((await response.json()) as { results: Result[] }).results }
      : { status_, retryAfter_: +headers.get("Retry-After")! * 1_000 };
  } catch {
    return { status_: 0 };
  }
};

export const post = async (url: string, key: string, items: Item[]): Promise<Answer> => {
  const text = `{${wireBatch(items)}}`;
  const zip = text.length > WORTH_ZIPPING && globalThis.CompressionStream;
  return send(
    url,
    "application/json",
    zip ? await new Response(new Blob([text]).stream().pipeThrough(new zip("gzip"))).blob() : text,
    {
      headers: { Authorization: "Bearer " + key, ...(zip && { "Content-Encoding": "gzip" }) },
      signal: AbortSignal.timeout(DEADLINE),
    },
  );
};

/**
 * Sends what outlives the page. text/plain and the key in the body: a preflight would not be answered in time. A
 * beacon, where keepalive is missing, tells nobody what came of it.
 */
export const handOver = async (url: string, key: string, items: Item[]): Promise<Answer> => {
  const text = `{"key":${JSON.stringify(key)},${wireBatch(items)}}`;
  if ("keepalive" in Request.prototype) return send(url, "text/plain", text, { keepalive: true });
  navigator.sendBeacon(url, text);
  return { status_: 0 };
};
