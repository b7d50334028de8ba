/** The module `engagement`: one event per page view with the time that somebody was there. */
import type { Page } from "@playwright/test";
import { arrived, arrivedLater, call, openWith, propertiesOf } from "./support/modules.ts";
import { expect, test, type World } from "./support/world.ts";

const LONG = `<div style="height: 4000px"></div>`;

/** A page whose clock is led by hand: it goes on by itself too, but no test waits for it. */
const openWithClock = async (world: World, options: object | true = true): Promise<Page> => {
  await world.context.clock.install();
  return openWith(world, { engagement: options }, LONG);
};
/** Milliseconds that are meant, and what the machine needed besides. */
const about = (milliseconds: number) => ({ least: milliseconds, most: milliseconds + 4_000 });
const expectAbout = (value: unknown, { least, most }: { least: number; most: number }) => {
  expect(value).toBeGreaterThanOrEqual(least);
  expect(value).toBeLessThan(most);
};

test("a page that is left tells how long somebody was there and how far it was scrolled", async ({ world }) => {
  // given 20 s, a scroll to the middle, and 100 s without a sign of life
  const page = await openWithClock(world);
  await page.clock.fastForward(20_000);
  await page.evaluate(() => new Promise((resolve) => {
    addEventListener("scroll", resolve, { once: true });
    scrollTo(0, 2_000 - innerHeight / 2);
  }));
  await page.clock.fastForward(100_000);
  // when it is left
  await page.goto("about:blank");
  // then 20 s and the idle time count
  const [event] = await arrivedLater(world, "engagement", 1);
  expect(event).toMatchObject({ category: "engagement", properties: { reason: "hidden", part: 1, page_url: `${world.proxy.url}/` } });
  expectAbout(event!.properties["engaged_ms"], about(50_000));
  expectAbout(event!.properties["visible_ms"], about(120_000));
  expect(event!.properties["scroll_depth"]).toBeGreaterThan(50);
  expect(event!.properties["scroll_depth"]).toBeLessThan(70);
});

test("each route of a single-page app has its own event", async ({ world }) => {
  const page = await openWithClock(world, { idle_after: 5_000 });
  await page.clock.fastForward(10_000);
  await page.evaluate(() => history.pushState({}, "", "/one"));
  await page.clock.fastForward(3_000);
  // A redirect is no page view of its own, and the same URL no other one.
  await page.evaluate(() => {
    history.replaceState({ x: 1 }, "", "/one");
    history.pushState({}, "", "/redirect");
    history.pushState({}, "", "/two");
  });
  await page.clock.fastForward(2_000);
  await page.goBack();
  await expect.poll(async () => (await world.stats(page)).tracked).toBe(3);
  const found = propertiesOf(await arrived(world, page), "engagement");
  expect(found.map(({ page_url, reason, part }) => [new URL(page_url as string).pathname, reason, part])).toEqual([["/", "route", 1], ["/one", "route", 1], ["/two", "route", 1]]);
  expectAbout(found[0]!["engaged_ms"], about(5_000));
  expectAbout(found[0]!["visible_ms"], about(10_000));
  expectAbout(found[1]!["engaged_ms"], about(3_000));
  expectAbout(found[2]!["engaged_ms"], about(2_000));
});

const hide = (page: Page, hidden: boolean) =>
  page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { value, configurable: true });
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
  }, hidden);

test("a page that is hidden and looked at again tells the rest as another part, without what was told", async ({ world }) => {
  const page = await openWithClock(world);
  await page.clock.fastForward(10_000);
  await hide(page, true);
  await page.clock.fastForward(500_000);
  await hide(page, false);
  await hide(page, true); // a glance is none
  await hide(page, false);
  await page.clock.fastForward(7_000);
  await call(page, "destroy");
  await call(page, "initialize");
  // The server corrects the times of a clock that is far ahead, so they say nothing of the order.
  const found = propertiesOf(await arrived(world, page), "engagement").sort((a, b) => Number(a["part"]) - Number(b["part"]));
  expect(found.map(({ reason, part }) => [reason, part])).toEqual([["hidden", 1], ["ended", 2]]);
  expectAbout(found[0]!["visible_ms"], about(10_000));
  expectAbout(found[1]!["visible_ms"], about(7_000));
});
