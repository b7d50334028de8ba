/** Storage that is full or broken: what goes is the least important and oldest, counted; nothing is thrown into the page. */
import type { BrowserContext, Page } from "@playwright/test";
import { deviceIsKnown } from "./support/modules.ts";
import { breakStore, limitStorage, storedInBrowser } from "./support/store.ts";
import { expect, test, type World } from "./support/world.ts";

const TEXT = { text: "x".repeat(2_000) };
/** However full the disk is, so much is queued. */
const LEAST_BYTES = 60_000;

/** A page on a full disk, which it knows, that is offline now. Chromium itself no longer tells pages how full a disk is. */
const openOnFullDisk = async (world: World, context: BrowserContext): Promise<Page> => {
  const page = await context.newPage();
  await page.goto(world.proxy.url);
  await limitStorage(context, page, 10_000);
  await page.evaluate("StorageManager.prototype.estimate = async () => ({ quota: 10_000, usage: 0 })");
  await world.begin(page);
  await deviceIsKnown(page);
  await context.setOffline(true);
  return page;
};

test("a full disk: the oldest of the least important go first, each counted and reported once, and the rest arrives", async ({ world, context }) => {
  // given a queue that is as full as it may be
  const page = await openOnFullDisk(world, context);
  await world.track(page, 10, TEXT, "commerce");
  await world.track(page, 30, TEXT, "performance");
  // then the oldest of the unimportant went
  const evicted = () => world.numbersLost("evicted");
  await expect.poll(async () => evicted().length).toBe((await world.stats(page)).evicted);
  const first = evicted().length;
  expect(first).toBeGreaterThan(5);
  expect(evicted()).toEqual(Array.from({ length: first }, (_, at) => 10 + at));
  // and when more that is important comes, the other unimportant go, then the oldest important
  await world.track(page, 30, TEXT, "commerce");
  const { evicted: count, storageStats } = await world.stats(page);
  expect(storageStats.storageSize).toBeLessThanOrEqual(LEAST_BYTES);
  expect(storageStats.eventCount).toBe(70 - count);
  await expect.poll(() => evicted().length).toBe(count);
  expect(count).toBeGreaterThan(30);
  expect(evicted().slice(0, 30)).toEqual(Array.from({ length: 30 }, (_, at) => 10 + at));
  const important = [...Array.from({ length: 10 }, (_, n) => n), ...Array.from({ length: 30 }, (_, at) => 40 + at)];
  expect(evicted().slice(30)).toEqual(important.slice(0, count - 30));
  // and everything else arrives
  await context.setOffline(false);
  await world.settled(page);
  expect((await world.everyEventIsAccountedFor(["evicted"])).size).toBe(70 - count);
});

test("a disk that takes nothing: events wait in memory, and arrive", async ({ world, context }) => {
  const page = await openOnFullDisk(world, context);
  await page.evaluate(() => {
    const aborts: (string | undefined)[] = ((globalThis as { aborts?: (string | undefined)[] }).aborts = []);
    const begin = IDBDatabase.prototype.transaction;
    IDBDatabase.prototype.transaction = function (...given) {
      const transaction = begin.apply(this, given);
      transaction.addEventListener("abort", () => aborts.push(transaction.error?.name));
      return transaction;
    };
  });
  await world.track(page, 20, TEXT);
  // when the browser refuses to write, also for the second time
  const aborts = () => page.evaluate(() => (globalThis as unknown as { aborts: string[] }).aborts);
  await expect.poll(async () => (await aborts()).length).toBeGreaterThanOrEqual(2);
  expect(new Set(await aborts())).toEqual(new Set(["QuotaExceededError"]));
  // then the queue has what the disk has not
  expect((await world.stats(page)).storageStats.eventCount).toBe(20);
  expect(await storedInBrowser(page)).toBe(0);
  await context.setOffline(false);
  await world.settled(page);
  expect((await world.everyEventIsAccountedFor()).size).toBe(20);
});

test("a store that breaks mid-run: what is on the disk and what could not get there arrive", async ({ world, context }) => {
  const page = await world.open();
  await context.setOffline(true);
  await world.track(page, 10);
  await expect.poll(() => storedInBrowser(page)).toBe(10);
  await page.evaluate(() => {
    for (const name of ["put", "delete", "getAll"] as const) {
      IDBObjectStore.prototype[name] = () => {
        throw new DOMException("broken", "UnknownError");
      };
    }
  });
  await world.track(page, 10);
  await expect.poll(async () => (await world.stats(page)).storageStats.eventCount).toBe(20);
  await context.setOffline(false);
  await world.settled(page);
  expect((await world.everyEventIsAccountedFor()).size).toBe(20);
  // and what could not be deleted is known to be stored by the next page
  await page.reload();
  await world.begin(page);
  await expect.poll(() => storedInBrowser(page)).toBe(0);
  expect(await world.stats(page)).toMatchObject({ duplicate: 10, accepted: 0 });
  await world.everyEventIsAccountedFor();
});

test("a follower whose store is broken: what it has told the tab that sends is refused, and counted, once", async ({ world, context }) => {
  // given two tabs, of which the second sends nothing and can write nothing
  const [sends, follower] = [await world.open(), await world.open()];
  await expect.poll(async () => (await world.stats(sends)).connectionStatus).toBe("connected");
  await breakStore(follower);
  await context.setOffline(true);
  await world.track(follower, 5);
  await expect.poll(async () => (await world.stats(sends)).storageStats.eventCount).toBe(5);
  // when consent is withdrawn
  await follower.evaluate("client.optOut()");
  await expect.poll(async () => (await world.stats(sends)).storageStats.eventCount).toBe(0);
  await context.setOffline(false);
  expect((await world.everyEventIsAccountedFor(["refused"])).size).toBe(0);
});
