/** A server that is busy is left alone as long as it asks, and however it asks. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AnalyticsClient } from "../../src/types.ts";
import { FakeSocket, openBrowser, settle, started } from "./browser.ts";

const HOUR = 3_600_000;
let client: AnalyticsClient;
let retryAfter: string;
const fetch = vi.fn(() => Promise.resolve(new Response("{}", { status: 503, headers: { "Retry-After": retryAfter } })));

beforeEach(() => {
  fetch.mockClear();
  openBrowser();
  vi.stubGlobal("fetch", fetch);
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(async () => {
  client.destroy();
  await settle();
  vi.useRealTimers();
});

const refused = async (after: string) => {
  retryAfter = after;
  client = await started({ websocket_url: "" });
  client.track("seen");
  await settle();
  void client.flush(0);
  await settle();
};
const tries = async (milliseconds: number) => {
  const before = fetch.mock.calls.length;
  await vi.advanceTimersByTimeAsync(milliseconds);
  await settle();
  return fetch.mock.calls.length - before;
};

test("seconds are obeyed", async () => {
  await refused("3");
  expect(fetch).toHaveBeenCalledTimes(1);
  expect(await tries(3_000)).toBe(0);
  expect(await tries(1_000)).toBe(1);
});

test("a date, which is no number, leaves the pauses that grow with every failure", async () => {
  await refused("Wed, 21 Oct 2037 07:28:00 GMT");
  expect(fetch).toHaveBeenCalledTimes(1);
  expect(await tries(400)).toBe(0);
  expect(await tries(200)).toBe(1);
  expect(await tries(800)).toBe(0);
  expect(await tries(200)).toBe(1);
});

test("more than a day is a day, and no timer that overflows", async () => {
  const set = vi.spyOn(globalThis, "setTimeout");
  await refused(String(40 * 24 * 3_600));
  expect(Math.max(...set.mock.calls.map(([, wait]) => wait ?? 0))).toBeLessThan(2 ** 31);
  expect(await tries(23 * HOUR)).toBe(0);
  expect(await tries(2 * HOUR)).toBeGreaterThanOrEqual(1);
});

test("a retry frame that does not say how long leaves the pauses as well", async () => {
  client = await started();
  FakeSocket.last.ready();
  client.track("seen");
  await settle();
  const [batch] = FakeSocket.last.batches;
  FakeSocket.last.hear({ type: "retry", seq: batch!.seq });
  expect(FakeSocket.last.batches).toHaveLength(1);
  vi.advanceTimersByTime(600);
  expect(FakeSocket.last.batches).toHaveLength(2);
});
