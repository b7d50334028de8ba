/** The storage key of the first version of this SDK: one array of events. */
import { encode, type Entry } from "../queue/entry.ts";
import { SEED } from "../queue/store.ts";
import { readLocal } from "../storage.ts";
import type { AnalyticsEvent } from "../types.ts";

/** What cannot be read is left out: it could not be delivered either. */
export const readSeed = (): Entry[] => {
  try {
    return (JSON.parse(readLocal(SEED)!) as AnalyticsEvent[])
      .filter((event) => event?.event_id)
      .map((event) => encode({ ...event, timestamp: +event.timestamp || Date.now() }, 1));
  } catch {
    return [];
  }
};
