/** One sender among the tabs of an origin: a Web Lock, or a lease where locks are missing or forbidden. */
import type { LoadFallback } from "../types.ts";

/** Calls `lead` when it is this tab's turn, and `follow` when it no longer is. Answers what gives the turn away. */
export const standForElection = (name: string, load: LoadFallback, lead: () => void, follow: () => void): (() => void) => {
  const abort = new AbortController();
  let release: (() => void) | undefined;
  const hold = () => {
    lead();
    return new Promise<void>((resolve) => (release = resolve));
  };
  const lease = async () => {
    if (abort.signal.aborted) return;
    const file = await load().catch(() => undefined);
    if (abort.signal.aborted) return;
    if (file) release = file.holdLease(name, lead, follow);
    // Nobody else would send what this tab has.
    else lead();
  };
  if (navigator.locks) navigator.locks.request(name, abort, hold).catch(lease);
  else void lease();
  return () => {
    abort.abort();
    release?.();
  };
};
