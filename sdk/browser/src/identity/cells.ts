/** Small values that tabs share: in localStorage while that is allowed and works, else in the memory of this tab. */
import { readLocal, writeLocal } from "../storage.ts";

export interface Cells {
  get_(name: string): string | undefined;
  /** Answers the value. */
  set_(name: string, value: string): string;
  /** Forgets who this is. */
  clear_(): void;
  /** Storing may have just been allowed: writes down what only memory has. */
  persist_(): void;
}

export const createCells = (prefix: string, mayStore: () => boolean): Cells => {
  let memory: Record<string, string> = {};
  const set_ = (name: string, value: string) => {
    // Never in both: what other tabs have changed since would be written over with what this one remembers.
    if (mayStore() && writeLocal(prefix + name, value)) delete memory[name];
    else memory[name] = value;
    return value;
  };
  return {
    get_: (name) => (mayStore() && readLocal(prefix + name)) || memory[name],
    set_,
    clear_() {
      memory = {};
      for (const name of ["user", "anonymous", "session", "super"]) writeLocal(prefix + name);
    },
    persist_() {
      for (const name in memory) set_(name, memory[name]!);
    },
  };
};
