/** Time with a page: only while it is visible, and only while somebody is there. */
import { beforeEach, describe, expect, test } from "vitest";
import { createEngagementClock, type EngagementClock } from "../../../src/modules/engagement/clock.ts";
import { depthOf } from "../../../src/page/scroll.ts";

const IDLE = 30_000;

describe("the engagement clock", () => {
  let now: number;
  let clock: EngagementClock;
  const pass = (seconds: number) => (now += seconds * 1_000);
  beforeEach(() => {
    now = 5_000;
    clock = createEngagementClock(() => now, IDLE, true);
  });

  test("without a sign of life, it counts until nobody is taken to be there", () => {
    pass(100);
    expect(clock.read()).toEqual({ engaged: 30_000, visible: 100_000 });
  });

  test("signs of life keep it going", () => {
    for (let n = 0; n < 10; n++) {
      pass(20);
      clock.active();
    }
    expect(clock.read()).toEqual({ engaged: 200_000, visible: 200_000 });
  });

  test("after an idle while, it goes on with the next sign", () => {
    pass(50);
    clock.active();
    pass(10);
    expect(clock.read()).toEqual({ engaged: 40_000, visible: 60_000 });
  });

  test("hidden time does not count, and coming back is a sign of life", () => {
    pass(10);
    clock.hide();
    pass(1_000);
    clock.show();
    pass(5);
    expect(clock.read()).toEqual({ engaged: 15_000, visible: 15_000 });
  });

  test("reading twice counts nothing twice", () => {
    pass(10);
    clock.read();
    pass(1);
    expect(clock.read()).toEqual({ engaged: 11_000, visible: 11_000 });
  });

  test("it begins anew for the next page view, in the same state", () => {
    pass(10);
    clock.reset();
    pass(3);
    expect(clock.read()).toEqual({ engaged: 3_000, visible: 3_000 });
  });

  test("a page that was never visible has no time", () => {
    clock = createEngagementClock(() => now, IDLE, false);
    pass(60);
    expect(clock.read()).toEqual({ engaged: 0, visible: 0 });
  });
});

test.each([
  [0, 500, 2_000, 25],
  [1_000, 500, 2_000, 75],
  [1_500.6, 500, 2_000, 100],
  [0, 800, 300, 100],
  [0, 0, 0, 0],
])("at %d of a window of %d and a page of %d, %d %% have been in sight", (scrollTop, clientHeight, scrollHeight, depth) => {
  expect(depthOf({ scrollTop, clientHeight, scrollHeight })).toBe(depth);
});
