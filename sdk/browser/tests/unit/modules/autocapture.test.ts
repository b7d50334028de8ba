/** What may be read of a page, and which clicks are angry ones. */
import { describe, expect, test } from "vitest";
import { publicText, REDACTED } from "../../../src/modules/autocapture/private.ts";
import { createRageDetector } from "../../../src/modules/autocapture/rage.ts";

describe("text of the page", () => {
  test.each([
    "Write to ann@shop.example", "ann@localhost", "4111 1111 1111 1111", "4111-1111-1111-1111", "Call +49 (30) 123 45 67",
    "DE89 3704 0044 0532 0130 00", "order 20240115001", "٤١١١١١١١١١١١١١١١",
  ])("left out: %s", (text) => expect(publicText(text, 64)).toBe(REDACTED));

  test.each(["Buy now", "3 for 2", "Save 12.50 €", "Page 17 of 204", "@home", "v1.2.3"])("kept: %s", (text) =>
    expect(publicText(text, 64)).toBe(text));

  test("it is cut to the limit, never within a character, and spaces are one", () => {
    expect(publicText("  a \n\t b  ", 64)).toBe("a b");
    expect(publicText("x".repeat(100), 10)).toBe(`${"x".repeat(10)}…`);
    expect(publicText(`${"x".repeat(9)}😀 and more`, 10)).toBe(`${"x".repeat(9)}…`);
  });

  test("a number that begins within the limit and ends after it is left out too", () => {
    expect(publicText(`${"x".repeat(60)} 4111 1111 1111 1111`, 64)).toBe(REDACTED);
  });

  test("a limit of 0 means no texts", () => {
    expect(publicText("Buy", 0)).toBeUndefined();
    expect(publicText(" ", 64)).toBeUndefined();
  });

  test("a long text is looked at in no time", () => {
    const begin = performance.now();
    for (const text of ["a".repeat(1_000), "1 ".repeat(500), `${"a".repeat(998)}@ `, "1".repeat(6) + " x"]) publicText(text.repeat(10), 64);
    expect(performance.now() - begin).toBeLessThan(50);
  });
});

describe("rage clicks", () => {
  const clicks = (...list: [x: number, y: number, at: number][]) => {
    const isRage = createRageDetector();
    return list.map(([x, y, at]) => isRage({ x, y, at }));
  };

  test("three at one spot within a second are one, and more are the same one", () => {
    expect(clicks([10, 10, 0], [12, 12, 300], [8, 10, 600], [10, 10, 900], [10, 10, 1_200])).toEqual([false, false, true, false, false]);
  });

  test("two are none, and neither are three that take longer", () => {
    expect(clicks([10, 10, 0], [10, 10, 600], [10, 10, 1_200], [10, 10, 1_800])).toEqual([false, false, false, false]);
  });

  test("a late first click does not spoil the burst that follows", () => {
    expect(clicks([10, 10, 0], [10, 10, 900], [10, 10, 1_200], [10, 10, 1_500])).toEqual([false, false, false, true]);
  });

  test("elsewhere is another spot", () => {
    expect(clicks([10, 10, 0], [200, 10, 100], [10, 10, 200], [200, 10, 300])).toEqual([false, false, false, false]);
  });

  test("after a pause, there may be another burst", () => {
    expect(clicks([1, 1, 0], [1, 1, 100], [1, 1, 200], [1, 1, 5_000], [1, 1, 5_100], [1, 1, 5_200])).toEqual([false, false, true, false, false, true]);
  });
});
