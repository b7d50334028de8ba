/** The storage key of the first version of this SDK: one array of events, moved into the queue once. */
import { encode, type Entry } from "../queue/entry.ts";
import { readLocal, writeLocal } from "../storage.ts";
import type { AnalyticsEvent } from "../types.ts";

/** What cannot be read is left out: it could not be delivered either. */
const read = (key: string): Entry[] => {
  try {
    return (JSON.parse(readLocal(key)!) as AnalyticsEvent[])
      .filter((event) => event?.event_id)
      .map((event) => encode({ ...event, timestamp: +event.timestamp || Date.now() }, 1));
  } catch {
    return [];
  }
};

/** The key goes only when its events are stored elsewhere. */
export const migrate = async (key: string, offer: (entry: Entry) => void, save: () => Promise<void>): Promise<void> => {
  read(key).forEach(offer);
  await save();
  writeLocal(key);
};
