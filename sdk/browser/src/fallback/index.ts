/**
 * What only some pages need, in a file of its own: pages without IndexedDB or Web Locks, and the first visit after the first version of this SDK. Where it cannot be loaded, a tab keeps its events in memory and
 * sends them itself.
 */
export { holdLease } from "./lease.ts";
export { openLocalStorage } from "./local-store.ts";
export { strip } from "./minimal.ts";
export { migrate } from "./seed.ts";
