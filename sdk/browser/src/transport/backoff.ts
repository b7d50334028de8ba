/** Waiting between tries, with full jitter: a thousand clients of a restarted server must not come back at once. */
const FIRST = 1_000;
const LONGEST = 60_000;

/** Milliseconds to wait after so many failures before this one: anything up to a bound that doubles. There is no last try. */
export const backoff = (failures: number): number => Math.random() * Math.min(LONGEST, FIRST * 2 ** failures);
