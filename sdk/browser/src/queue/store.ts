/** The durable copy of the queue, shared by all tabs of the origin. */
import { readLocal, writeLocal } from "../storage.ts";
import type { LoadFallback } from "../types.ts";
import type { Entry } from "./entry.ts";
import { openIndexedDb } from "./indexeddb.ts";

export interface Store {
  add_(entries: Entry[]): Promise<unknown>;
  remove_(ids: string[]): Promise<unknown>;
  /** Everything, oldest first; what others wrote there is not checked. */
  load_(): Promise<unknown[]>;
  close_(): void;
}

/** Where the first version of this SDK kept its events. */
export const SEED = "obc_analytics_events";
/** What follows the name of a queue in localStorage: then the id of an event, or nothing: there may be such keys. */
export const LOCAL = ":";

/** Does something with the store; the answer is undefined when that failed twice. */
export type StoreUser = <T>(call: (store: Store) => Promise<T>) => Promise<T | undefined>;

/** Browsers have been seen to leave a database call unanswered. */
const PATIENCE = 3_000;

export const within = <T>(promise: Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    AbortSignal.timeout(PATIENCE).onabort = reject;
    promise.then(resolve, reject);
  });

/** Deletes what any page has stored; who has it open closes it. Answers when it is gone, or nobody can tell. */
export const forgetStores = async (name: string): Promise<void> => {
  try {
    writeLocal(SEED);
    for (const key in globalThis.localStorage) if (key.startsWith(name + LOCAL)) writeLocal(key);
    await within(new Promise((resolve) => (indexedDB.deleteDatabase(name).onsuccess = resolve)));
  } catch {
    // Without storage there is nothing to delete.
  }
};

/**
 * IndexedDB, else localStorage. A call that fails opens the store anew and is tried once more: the database is closed
 * under us when the user clears the site's data. What fails again is the caller's to keep in memory.
 */
export const createStore = (name: string, load: LoadFallback): StoreUser => {
  let open = async (): Promise<Store> => {
    const store = await openIndexedDb(name);
    if (readLocal(SEED) || readLocal(name + LOCAL)) await load().then((file) => file.drain(name, store)).catch(() => {});
    return store;
  };
  let opened: Promise<Store> | undefined;
  const openOther = () => (open = () => load().then((file) => file.openLocalStorage(name)))();
  const attempt = <T>(call: (store: Store) => Promise<T>): Promise<T> =>
    within((opened ??= within(open()).catch(openOther)).then(call));
  return (call) =>
    attempt(call)
      .catch(() => {
        opened = undefined;
        return attempt(call);
      })
      .catch(() => undefined);
};
