/** Several tabs where there are no Web Locks (plain http, old browsers): a lease in localStorage says who sends. */
import type { Page } from "@playwright/test";
import { storedInBrowser } from "./support/store.ts";
import { expect, test, type World } from "./support/world.ts";

test.beforeEach(async ({ context }) => {
  await context.addInitScript("Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })");
});

const statuses = (world: World, pages: Page[]) => Promise.all(pages.map(async (page) => (await world.stats(page)).connectionStatus));

/** The one tab that sends, and the others. */
const whoSends = async (world: World, pages: Page[]): Promise<[Page, Page[]]> => {
  const connected = async () => (await statuses(world, pages)).filter((status) => status === "connected").length;
  await expect.poll(connected, { timeout: 20_000 }).toBe(1);
  const sends = pages[(await statuses(world, pages)).indexOf("connected")]!;
  return [sends, pages.filter((page) => page !== sends)];
};

test("one of three tabs sends; it is closed mid-flight, another one takes over, and orphans arrive", async ({ world, context }) => {
  // given three tabs, one of which sends for all
  const pages = [await world.open(), await world.open(), await world.open()];
  const [sends, others] = await whoSends(world, pages);
  for (const page of pages) await world.track(page, 10);
  await Promise.all(pages.map((page) => world.settled(page)));
  expect((await world.stats(sends)).accepted).toBe(30);
  // when it is closed, without a last word, with batches under way of which nobody hears
  world.proxy.fault = { kind: "lose-answers" };
  for (const page of pages) await world.track(page, 10);
  await expect.poll(() => world.proxy.hits).toBeGreaterThan(0);
  await context.setOffline(true);
  await world.track(sends, 5);
  await world.track(others[0]!, 5);
  await expect.poll(() => storedInBrowser(sends)).toBe(40);
  await sends.close();
  world.proxy.fault = undefined;
  await context.setOffline(false);
  // then exactly one of the others sends everything, the closed tab's too
  const [next, rest] = await whoSends(world, others);
  await expect.poll(() => storedInBrowser(next), { timeout: 20_000 }).toBe(0);
  const { accepted, duplicate } = await world.stats(next);
  expect(accepted + duplicate).toBe(40);
  expect(duplicate).toBeGreaterThan(0);
  await Promise.all(rest.map((page) => world.settled(page)));
  expect((await world.everyEventIsAccountedFor()).size).toBe(70);
});

test("a tab that ends gives the lease away, and an event of a follower that is closed is sent", async ({ world }) => {
  const pages = [await world.open(), await world.open()];
  const [sends, [follower]] = (await whoSends(world, pages)) as [Page, [Page]];
  await sends.evaluate("client.destroy()");
  const began = Date.now();
  await whoSends(world, [follower]);
  // sooner than a lease runs out by itself
  expect(Date.now() - began).toBeLessThan(5_500);
  await sends.evaluate("client.initialize()");
  world.proxy.fault = { kind: "hang" };
  await world.track(sends, 5);
  await expect.poll(() => storedInBrowser(follower)).toBe(5);
  await sends.close();
  world.proxy.fault = undefined;
  world.proxy.cut();
  await world.settled(follower);
  expect(await storedInBrowser(follower)).toBe(0);
  expect((await world.everyEventIsAccountedFor()).size).toBe(5);
});
