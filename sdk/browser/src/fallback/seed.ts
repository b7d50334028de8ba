/** The storage key of the first version of this SDK: one array of events, moved into the queue once. */
import { encode, type Entry } from "../queue/entry.ts";
import type { AnalyticsEvent } from "../types.ts";

/** What cannot be read is left out: it could not be delivered either. */
export const readSeed = (stored: string): Entry[] => {
  try {
    return (JSON.parse(stored) as AnalyticsEvent[])
      .filter((event) => event?.event_id)
      .map((event) => encode({ ...event, timestamp: +event.timestamp || Date.now() }, 1));
  } catch {
    return [];
  }
};
