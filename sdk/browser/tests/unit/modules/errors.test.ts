/** Which errors are the same one, and how many of them are reported. */
import { describe, expect, test } from "vitest";
import { createCaps } from "../../../src/modules/errors/caps.ts";
import { groupOf, shapeOf, topFrame } from "../../../src/modules/errors/group.ts";

describe("the shape of a message", () => {
  test.each([
    ["item 17 of 20 costs 3.50", "item N of N costs N"],
    ["no user 0192f0c1-7b3e-7c11-9d2a-4f1f0a7b6c5d", "no user ID"],
    [`"ann" is not a function, 'bob' neither`, "… is not a function, … neither"],
    ["could not load https://shop.example/a.js?v=17 at all", "could not load URL at all"],
    ["two\n  lines", "two lines"],
  ])("%s", (message, shape) => expect(shapeOf(message)).toBe(shape));

  test("a very long message costs no more than its beginning", () => {
    expect(shapeOf("x ".repeat(1_000_000)).length).toBeLessThanOrEqual(500);
  });
});

describe("the top of a stack", () => {
  test.each([
    ["Chromium, named", "TypeError: x\n    at buy (https://shop.example/app.js?v=2:10:5)\n    at b (b.js:1:1)", "buy https://shop.example/app.js:10"],
    ["Chromium, nameless", "TypeError: x\n    at https://shop.example/app.js:10:5", "https://shop.example/app.js:10"],
    ["Chromium, async", "Error: x\n    at async Cart.buy (app.js:3:4)", "async Cart.buy app.js:3"],
    ["Firefox and Safari", "buy@https://shop.example/app.js:10:5\nb@b.js:1:1", "buy https://shop.example/app.js:10"],
    ["Firefox, nameless", "@https://shop.example/app.js:10:5", "https://shop.example/app.js:10"],
    ["none", "TypeError: x", ""],
    ["nothing", undefined, ""],
  ])("%s", (_, stack, frame) => expect(topFrame(stack)).toBe(frame));
});

test("a group is one of name, shape and place, whatever the numbers in it", () => {
  const stack = "Error\n    at buy (app.js:1:2)";
  const group = groupOf("Error", "item 1 is gone", stack);
  expect(group).toMatch(/^[0-9a-f]{8}$/);
  expect(groupOf("Error", "item 2 is gone", stack)).toBe(group);
  expect(groupOf("TypeError", "item 1 is gone", stack)).not.toBe(group);
  expect(groupOf("Error", "item 1 is here", stack)).not.toBe(group);
  expect(groupOf("Error", "item 1 is gone", stack.replace("buy", "sell"))).not.toBe(group);
});

describe("caps", () => {
  test("so many of one group are reported, the rest is counted", () => {
    // given a cap of two per group
    const caps = createCaps(2, 10);
    // when one group comes four times and another once
    expect(["a", "a", "a", "b", "a"].map((group) => caps.count(group))).toEqual([1, 2, 0, 1, 0]);
    // then what was not reported is summed up, once
    expect(caps.take()).toEqual({ suppressed: 2, groups: { a: 2 } });
    expect(caps.take()).toBeUndefined();
  });

  test("so many are reported of one page", () => {
    const caps = createCaps(5, 3);
    expect(["a", "b", "c", "d", "a"].map((group) => caps.count(group))).toEqual([1, 1, 1, 0, 0]);
    expect(caps.take()).toEqual({ suppressed: 2, groups: { d: 1, a: 1 } });
  });

  test("memory is bounded: beyond a hundred groups they are counted together", () => {
    const caps = createCaps(5, 10_000);
    for (let n = 0; n < 500; n++) caps.count(`g${n}`);
    expect(caps.take()).toEqual({ suppressed: 400, groups: { others: 400 } });
  });
});
