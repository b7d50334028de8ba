/** The store in localStorage: one key per event, so that tabs do not overwrite each other and nothing is rewritten. */
import type { Entry } from "../queue/entry.ts";
import type { Store } from "../queue/store.ts";

export const openLocalStorage = async (name: string): Promise<Store> => {
  const prefix = name + ":";
  const keys = () => Object.keys(localStorage).filter((key) => key.startsWith(prefix)).sort();
  const read = (key: string): unknown => {
    try {
      return JSON.parse(localStorage.getItem(key)!) ?? {};
    } catch {
      return { i: key.slice(prefix.length) };
    }
  };
  localStorage.setItem(name + "probe", ""); // throws where nothing can be stored
  localStorage.removeItem(name + "probe");
  return {
    add_: async (entries: Entry[]) => entries.forEach((entry) => localStorage.setItem(prefix + entry.i, JSON.stringify(entry))),
    remove_: async (ids) => ids.forEach((id) => localStorage.removeItem(prefix + id)),
    load_: async () => keys().map(read),
    clear_: async () => keys().forEach((key) => localStorage.removeItem(key)),
    close_() {},
  };
};
