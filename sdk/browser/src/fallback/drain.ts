/** Moves into IndexedDB what lies in localStorage: events of tabs that could not open it, and of this SDK's first version. */
import { isEntry } from "../queue/entry.ts";
import { SEED, type Store } from "../queue/store.ts";
import { writeLocal } from "../storage.ts";
import { localStore } from "./local-store.ts";
import { readSeed } from "./seed.ts";

/** What is there now leaves localStorage when IndexedDB has it; other tabs may add to it meanwhile. */
export const drain = async (name: string, store: Store): Promise<void> => {
  const local = localStore(name);
  const keys = local.keys_();
  const left = await local.load_();
  await store.add_([...readSeed(), ...left.filter(isEntry)]);
  local.clear_(keys);
  writeLocal(SEED);
};
