/** The store in localStorage: one key per event, so that tabs do not overwrite each other and nothing is rewritten. */
import type { Entry } from "../queue/entry.ts";
import { LOCAL, SEED, type Store } from "../queue/store.ts";
import { readLocal, writeLocal } from "../storage.ts";
import { readSeed } from "./seed.ts";

interface LocalStore extends Store {
  keys_(): string[];
  /** Removes these keys, and the mark when nothing is left. */
  clear_(keys: string[]): void;
}

export const localStore = (name: string): LocalStore => {
  /** Also a key itself: it tells pages that can use IndexedDB that there is something here. */
  const prefix = name + LOCAL;
  const keys = () => Object.keys(localStorage).filter((key) => key.startsWith(prefix) && key !== prefix).sort();
  const read = (key: string): unknown => {
    try {
      return JSON.parse(localStorage.getItem(key)!) ?? {};
    } catch {
      return { i: key.slice(prefix.length) };
    }
  };
  return {
    async add_(entries: Entry[]) {
      if (entries.length && !localStorage.getItem(prefix)) localStorage.setItem(prefix, "1");
      entries.forEach((entry) => localStorage.setItem(prefix + entry.i, JSON.stringify(entry)));
    },
    remove_: async (ids) => ids.forEach((id) => localStorage.removeItem(prefix + id)),
    load_: async () => keys().map(read),
    keys_: keys,
    clear_(taken) {
      taken.forEach((key) => localStorage.removeItem(key));
      if (!keys().length) localStorage.removeItem(prefix);
    },
    close_() {},
  };
};

export const openLocalStorage = async (name: string): Promise<LocalStore> => {
  const store = localStore(name);
  localStorage.setItem(name + LOCAL, "1"); // throws where nothing can be stored
  store.clear_([]);
  const seed = readSeed();
  if (!seed.length) return store;
  // There may be no room for both.
  const text = readLocal(SEED)!;
  writeLocal(SEED);
  await store.add_(seed).catch(async () => {
    await store.remove_(seed.map(({ i }) => i));
    writeLocal(SEED, text);
  });
  return store;
};
