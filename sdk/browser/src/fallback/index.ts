/**
 * What only some pages need, in a file of its own: pages without IndexedDB or Web Locks, those that find events in
 * localStorage, those that send over REST, and those of tenants with the tracking level `minimal`. Where it cannot be
 * loaded, a tab keeps its events in memory and sends them itself, unzipped.
 */
export { drain } from "./drain.ts";
export { holdLease } from "./lease.ts";
export { openLocalStorage } from "./local-store.ts";
export { strip } from "./minimal.ts";
export { zip } from "./zip.ts";
