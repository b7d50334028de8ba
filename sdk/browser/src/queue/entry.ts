/** One queued event: encoded once, when it is tracked; kept and sent as that text. */
import type { AnalyticsEvent } from "../types.ts";

/** As it is stored: names are part of the stored form and never change. */
export interface Entry {
  /** event_id */
  i: string;
  /** timestamp, unix milliseconds: not in `j`, for the clock may be set before the event is sent */
  t: number;
  /** importance: 0 is evicted before 1 */
  p: number;
  /** the event as JSON, without its timestamp */
  j: string;
}

/** The largest event that the server takes. */
export const MAX_EVENT_BYTES = 32 * 1024;

const utf8 = new TextEncoder();
/** Used again and again, so that measuring leaves no garbage; what is larger counts as just above the largest. */
const room = new Uint8Array(MAX_EVENT_BYTES + 4);
export const bytesOf = (text: string): number => utf8.encodeInto(text, room).written;

/** Throws what JSON.stringify throws: cycles, BigInt. */
export const encode = ({ timestamp, ...event }: AnalyticsEvent, p: number): Entry => ({
  i: event.event_id,
  t: timestamp,
  p,
  // Half a character is no text, and one would make the whole batch unreadable. `\\` first, so that it is passed over.
  j: JSON.stringify(event).replace(/(\\\\)|\\ud[89a-f]../g, (_, backslash?: string) => backslash ?? "\ufffd"),
});

/** The event as it is sent. It cannot be later than now: if it seems so, the clock was set back since. */
const wire = ({ j, t }: Entry): string => `${j.slice(0, -1)},"timestamp":${Math.min(t, Date.now())}}`;

/** What every batch consists of, without the outer braces. */
export const wireBatch = (items: { entry_: Entry }[]): string =>
  `"sent_at":${Date.now()},"events":[${items.map(({ entry_ }) => wire(entry_))}]`;

/** What was stored by others, or long ago, is looked at before it is trusted. */
export const isEntry = (value: unknown): value is Entry => {
  try {
    const { i, t, j } = value as Entry;
    return +t > 0 && (JSON.parse(j) as AnalyticsEvent).event_id === i;
  } catch {
    return false;
  }
};
