/**
 * How long somebody was with a page: only while it was visible, and for at most the idle time after each sign of life.
 * Nothing ticks; time is counted when something happens.
 */
export interface EngagementClock {
  /** A sign of life: input, a scroll, the page coming into sight. */
  active(): void;
  hide(): void;
  show(): void;
  /** Milliseconds since the beginning. */
  read(): { engaged: number; visible: number };
  /** Begins anew, in the same state. */
  reset(): void;
}

export const createEngagementClock = (now: () => number, idleAfter: number, visible: boolean): EngagementClock => {
  let shown = visible;
  let engaged = 0;
  let seen = 0;
  /** Up to when both are counted. */
  let counted = now();
  /** Until when somebody is taken to be there. */
  let until = counted + idleAfter;
  const count = () => {
    const time = now();
    if (shown) {
      seen += time - counted;
      engaged += Math.max(0, Math.min(time, until) - counted);
    }
    counted = time;
    return time;
  };
  const active = () => {
    until = count() + idleAfter;
  };
  return {
    active,
    hide() {
      count();
      shown = false;
    },
    show() {
      active();
      shown = true;
    },
    read() {
      count();
      return { engaged: Math.round(engaged), visible: Math.round(seen) };
    },
    reset() {
      count();
      engaged = seen = 0;
    },
  };
};
