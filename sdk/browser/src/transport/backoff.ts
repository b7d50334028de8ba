/** Waiting between tries, with full jitter: a thousand clients of a restarted server must not come back at once. */
const FIRST = 1_000;
const LONGEST = 60_000;

export interface Backoff {
  /** Milliseconds to wait now: anything up to a bound that doubles with every failure in a row. There is no last try. */
  next_(): number;
  /** Something was delivered. */
  reset_(): void;
}

export const createBackoff = (): Backoff => {
  let failures = 0;
  return {
    next_: () => Math.random() * Math.min(LONGEST, FIRST * 2 ** failures++),
    reset_() {
      failures = 0;
    },
  };
};
