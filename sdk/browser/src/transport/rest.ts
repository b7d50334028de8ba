/** One batch over REST. Answers what came of it, and never throws. */
import { wireBatch } from "../queue/entry.ts";
import type { Zipped } from "../fallback/zip.ts";
import type { Item } from "../queue/queue.ts";
import { within } from "../queue/store.ts";
import type { LoadFallback } from "../types.ts";
import type { Result } from "./socket.ts";

const DEADLINE = 20_000;
/** All keepalive requests of a page together may have 64 KiB. */
export const KEEPALIVE_BYTES = 60_000;

export interface Answer {
  /** The HTTP status; none = no answer, or one that is no answer. */
  status_?: number;
  results_?: Result[];
  /** Milliseconds that the server asked to wait, if they are a number. */
  retryAfter_?: number;
}

const send = async (url: string, body: BodyInit, headers?: Record<string, string>, keepalive?: boolean): Promise<Answer> => {
  try {
    const response = await fetch(url, {
      method: "POST",
      body,
      headers,
      keepalive,
      signal: AbortSignal.timeout(DEADLINE),
    });
    return {
      status_: response.status,
      retryAfter_: +response.headers.get("Retry-After")! * 1_000,
      ...(response.ok && { results_: ((await response.json()) as { results: Result[] }).results }),
    };
  } catch {
    return {};
  }
};

/** Where the file that zips cannot be loaded, text goes as it is; nothing goes that is no longer `wanted` by then. */
export const post = async (url: string, key: string, items: Item[], load: LoadFallback, wanted: () => unknown): Promise<Answer> => {
  const text = `{${wireBatch(items)}}`;
  const [body, headers] = await within(load().then((file) => file.zip(text))).catch((): Zipped => [text]);
  return wanted() ? send(url, body, { "Content-Type": "application/json", Authorization: "Bearer " + key, ...headers }) : {};
};

/**
 * Sends what outlives the page. As text/plain, which a text is sent as, and with the key in the body: a preflight would
 * not be answered in time. A beacon, where keepalive is missing, tells nobody what came of it.
 */
export const handOver = async (url: string, key: string, items: Item[]): Promise<Answer> => {
  const text = `{"key":${JSON.stringify(key)},${wireBatch(items)}}`;
  if ("keepalive" in Request.prototype) return send(url, text, undefined, true);
  navigator.sendBeacon?.(url, text);
  return {};
};
