/** The session: ends after 30 minutes without an event, and after 24 hours; all tabs share it. */
import { uuid7 } from "../ids.ts";
import type { Cells } from "./cells.ts";

const IDLE = 30 * 60_000;
const LONGEST = 24 * 60 * 60_000;
/** The last activity is written down at most this often. */
const PRECISION = 1_000;

export const sessionId = (cells: Cells, now = Date.now()): string => {
  const [id, start, last] = `${cells.get_("session")}`.split(" ");
  // A clock that was set back counts as time too; what is no number fails every comparison.
  const idle = Math.abs(now - +last!);
  const goesOn = id && idle <= IDLE && Math.abs(now - +start!) <= LONGEST;
  if (goesOn && idle < PRECISION) return id;
  const current = goesOn ? id : uuid7(now);
  cells.set_("session", `${current} ${goesOn ? start : now} ${now}`);
  return current;
};
