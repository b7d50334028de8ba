/** A page that is closed with more than the browser lets it hand over: what is handed over arrives, the rest is not lost. */
import type { BrowserContext, Page } from "@playwright/test";
import { storedInBrowser } from "./support/store.ts";
import { expect, test, type World } from "./support/world.ts";

/** All keepalive requests and beacons of a page together. */
const BROWSERS_LIMIT = 64 * 1024;
const COUNT = 200;
/** Two bytes a letter: characters are not what is counted. */
const TEXT = { text: "\u00fc".repeat(600) };

/** A page with far more than the limit in its store, of which nothing was sent. */
const openWithMuch = async (world: World): Promise<Page> => {
  world.proxy.refuseSockets = true;
  const page = await world.open({ flush_interval: 3_600_000, batch_size: 1_000 });
  await world.track(page, COUNT, TEXT);
  await expect.poll(() => storedInBrowser(page)).toBe(COUNT);
  expect((await world.stats(page)).storageStats.storageSize).toBeGreaterThan(3 * BROWSERS_LIMIT);
  expect(world.proxy.batches).toEqual([]);
  return page;
};

/** Closes the page, and answers what it has handed over, once that is in PostgreSQL. */
const closed = async (world: World, page: Page) => {
  await page.close({ runBeforeUnload: true });
  await expect.poll(() => world.proxy.batches.length, { timeout: 10_000 }).toBeGreaterThan(0);
  const [handed] = world.proxy.batches;
  await expect.poll(async () => (await world.stack.stored(world.eventName)).size).toBe(handed!.events);
  return handed!;
};

/** The next page delivers what was not handed over; what was, it learns to be stored. */
const theNextPageDelivers = async (world: World, handed: number): Promise<void> => {
  world.proxy.refuseSockets = false;
  const next = await world.open();
  await expect.poll(async () => (await world.stats(next)).accepted, { timeout: 20_000 }).toBe(COUNT - handed);
  await expect.poll(() => storedInBrowser(next)).toBe(0);
  expect(await world.stats(next)).toMatchObject({ duplicate: handed });
  expect((await world.everyEventIsAccountedFor()).size).toBe(COUNT);
};

const WAYS: [name: string, change: (context: BrowserContext) => Promise<unknown>][] = [
  ["a fetch that outlives it", async () => {}],
  ["a beacon, where fetch cannot outlive the page", (context) => context.addInitScript("delete Request.prototype.keepalive")],
];
for (const [name, change] of WAYS) {
  test(`a closed page hands over less than 64 KB, by ${name}, and the next one delivers the rest`, async ({ world, context }) => {
    await change(context);
    const page = await openWithMuch(world);
    const handed = await closed(world, page);
    // then it is one request, nearly as large as it may be
    expect(world.proxy.batches).toHaveLength(1);
    expect(handed).toMatchObject({ encoding: undefined, path: "/api/analytics/batch" });
    expect(handed.type).toContain("text/plain");
    expect(handed.bytes).toBeLessThan(BROWSERS_LIMIT);
    expect(handed.bytes).toBeGreaterThan(BROWSERS_LIMIT * 0.8);
    await theNextPageDelivers(world, handed.events);
  });
}

for (const [name, script] of [
  ["fetch throws", "globalThis.fetch = () => { throw new TypeError('no') }"],
  ["the beacon is refused", "delete Request.prototype.keepalive; Navigator.prototype.sendBeacon = () => false"],
  ["there is neither", "delete Request.prototype.keepalive; delete Navigator.prototype.sendBeacon"],
] as const) {
  test(`a closed page where ${name} loses nothing`, async ({ world }) => {
    const page = await openWithMuch(world);
    await page.evaluate(script);
    await page.goto("about:blank");
    expect(world.proxy.batches).toEqual([]);
    await theNextPageDelivers(world, 0);
  });
}
