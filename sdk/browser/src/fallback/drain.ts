/** Moves into IndexedDB what lies in localStorage: events of tabs that could not open it, and of this SDK's first version. */
import { isEntry } from "../queue/entry.ts";
import { SEED, type Store } from "../queue/store.ts";
import { writeLocal } from "../storage.ts";
import { localStore } from "./local-store.ts";
import { readSeed } from "./seed.ts";

/** localStorage is emptied only when IndexedDB has everything. */
export const drain = async (name: string, store: Store): Promise<void> => {
  const local = localStore(name);
  const left = await local.load_();
  await store.add_([...readSeed(), ...left.filter(isEntry)]);
  await local.clear_();
  writeLocal(SEED);
};
