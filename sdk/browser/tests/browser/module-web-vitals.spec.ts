/** The module `web-vitals`: each metric arrives once, as it is when the page is left. */
import { arrived, arrivedLater, openWith, propertiesOf } from "./support/modules.ts";
import { expect, test } from "./support/world.ts";

const SHOP = `<h1>Shop</h1><button id="slow" onclick="const end = performance.now() + 80; while (performance.now() < end);">Slow</button>`;
const byName = (all: Record<string, unknown>[]) => Object.fromEntries(all.map((properties) => [properties["metric_name"] as string, properties]));

test("all five arrive when the page is left, each once", async ({ world }) => {
  // given a page with a slow button, clicked twice
  const page = await openWith(world, { "web-vitals": true }, SHOP);
  await page.click("#slow");
  await page.click("#slow");
  // The browser has painted what came of it.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
  // when it is left
  await page.goto("about:blank");
  // then each metric is there, with what the library says of it
  const events = await arrivedLater(world, "performance_metric", 5);
  expect(events.every(({ category }) => category === "performance")).toBe(true);
  const metrics = byName(events.map(({ properties }) => properties));
  expect(Object.keys(metrics).sort()).toEqual(["CLS", "FCP", "INP", "LCP", "TTFB"]);
  for (const properties of Object.values(metrics)) {
    expect(properties).toMatchObject({ navigation_type: "navigate", metric_id: expect.stringMatching(/^v/), rating: expect.stringMatching(/^(good|needs-improvement|poor)$/) });
  }
  expect(metrics["INP"]!["metric_value"]).toBeGreaterThanOrEqual(72);
  expect(metrics["CLS"]).toMatchObject({ unit: "score" });
  expect(metrics["TTFB"]).toMatchObject({ unit: "ms" });
  expect(new Set(events.map(({ properties }) => properties["metric_id"])).size).toBe(5);
});

/** As the browser says it. A page that is only played to be hidden stays where it is. */
const setHidden = `(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  Object.defineProperty(document, "visibilityState", { value: hidden ? "hidden" : "visible", configurable: true });
  document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
}`;

test("hiding the page again and again sends nothing twice; a return from the back/forward cache is measured anew", async ({ world }) => {
  const page = await openWith(world, { "web-vitals": true }, SHOP);
  await page.click("#slow");
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
  for (let n = 0; n < 3; n++) {
    await page.evaluate(`(${setHidden})(true)`);
    await page.evaluate(`(${setHidden})(false)`);
    await page.click("#slow");
  }
  expect(propertiesOf(await arrived(world, page), "performance_metric").map((one) => one["metric_name"]).sort()).toEqual(["CLS", "FCP", "INP", "LCP", "TTFB"]);
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  const events = await arrivedLater(world, "performance_metric", 8);
  const again = events.filter(({ properties }) => properties["navigation_type"] === "back-forward-cache");
  expect(again.map(({ properties }) => properties["metric_name"]).sort()).toEqual(["FCP", "LCP", "TTFB"]);
});

test("only those that were asked for", async ({ world }) => {
  const page = await openWith(world, { "web-vitals": { metrics: ["FCP", "LCP"] } }, SHOP);
  await page.click("#slow");
  await page.goto("about:blank");
  const events = await arrivedLater(world, "performance_metric", 2);
  expect(events.map(({ properties }) => properties["metric_name"]).sort()).toEqual(["FCP", "LCP"]);
});

test("a client that comes after the first was destroyed has them too", async ({ world }) => {
  const page = await openWith(world, { "web-vitals": { metrics: ["FCP"] } }, SHOP);
  await expect.poll(async () => (await world.stats(page)).tracked).toBe(1);
  await page.evaluate("client.destroy()");
  await world.begin(page, { user_id: `${world.eventName}-2`, modules: { "web-vitals": { metrics: ["FCP"] } } });
  await expect.poll(async () => (await world.stats(page)).tracked).toBe(1);
  // One that stops and goes on does not have them twice.
  await page.evaluate("client.destroy(), client.initialize()");
  expect((await world.stats(page)).tracked).toBe(1);
});
