/** How much is reported: a page that fails in a loop must not drown everything else. */

/** Groups that are counted by themselves; a page with more is counted as a whole. */
const MOST_GROUPS = 100;
const OTHERS = "others";

export interface Summary {
  suppressed: number;
  /** How many of each group. */
  groups: Record<string, number>;
}

export interface Caps {
  /** Counts one more of its group: how many there were, or 0 when it is not to be reported. */
  count(group: string, most?: number): number;
  /** What was not reported since the last summary. */
  take(): Summary | undefined;
}

export const createCaps = (perGroup: number, perPage: number): Caps => {
  const counts = new Map<string, number>();
  let suppressed = new Map<string, number>();
  let reported = 0;
  const add = (to: Map<string, number>, group: string) => {
    const sum = (to.get(group) ?? 0) + 1;
    to.set(group, sum);
    return sum;
  };
  return {
    count(group, most = perGroup) {
      const known = counts.has(group) || counts.size < MOST_GROUPS;
      const counted = known ? group : OTHERS;
      const sum = add(counts, counted);
      if (known && sum <= most && reported < perPage) {
        reported++;
        return sum;
      }
      add(suppressed, counted);
      return 0;
    },
    take() {
      if (!suppressed.size) return undefined;
      const groups = Object.fromEntries(suppressed);
      suppressed = new Map();
      return { suppressed: Object.values(groups).reduce((sum, count) => sum + count), groups };
    },
  };
};
