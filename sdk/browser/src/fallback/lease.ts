/**
 * A lease in localStorage, for pages without Web Locks (plain http). It is not as strict as a lock: two tabs may lead
 * for a moment. That costs traffic and no event, for the server stores each id once.
 */
import { uuid7 } from "../ids.ts";
import { readLocal, writeLocal } from "../storage.ts";

const LEASE = 6_000;
const TICK = 2_000;

export const holdLease = (name: string, lead: () => void, follow: () => void): (() => void) => {
  const key = name + "lease";
  const me = uuid7();
  let leads = false;
  const tick = () => {
    const now = Date.now();
    const [owner, until] = (readLocal(key) ?? "").split(" ");
    const left = +until! - now;
    // One that ends in the far future was taken before the clock was set back.
    const taken = owner !== me && left > 0 && left <= LEASE;
    // Whoever wrote last among those who saw a free lease has it: known at the next tick. What cannot be written is
    // not shared either, and nobody else sends what this tab has.
    const mine = !taken && (!writeLocal(key, `${me} ${now + LEASE}`) || owner === me);
    if (mine !== leads) (leads = mine) ? lead() : follow();
  };
  const timer = setInterval(tick, TICK);
  tick();
  return () => {
    clearInterval(timer);
    if (leads) writeLocal(key);
  };
};
