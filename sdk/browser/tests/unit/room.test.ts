/** How much is queued at most: what is configured, and never more than half of what the browser has left. */
import { expect, test } from "vitest";
import { roomFor } from "../../src/device/room.ts";

const storage = (estimate: object) => ({ storage: { estimate: () => Promise.resolve(estimate) } as StorageManager });

test.each([
  ["plenty", { quota: 1e9, usage: 0 }, 2_000_000],
  ["half of what is left", { quota: 1_000_000, usage: 400_000 }, 300_000],
  ["a full disk: what memory can send", { quota: 10_000, usage: 10_000 }, 60_000],
  ["an estimate without numbers", {}, 2_000_000],
])("%s", async (_, estimate, room) => {
  expect(await roomFor(2_000_000, storage(estimate))).toBe(room);
});

test("what is configured is never exceeded", async () => {
  expect(await roomFor(10_000, storage({ quota: 10_000, usage: 0 }))).toBe(10_000);
  expect(await roomFor(10_000, {})).toBe(10_000);
  expect(await roomFor(10_000, { storage: {} as StorageManager })).toBe(10_000);
  expect(await roomFor(10_000, { storage: { estimate: () => Promise.reject<StorageEstimate>(new Error("no")) } as StorageManager })).toBe(10_000);
});
