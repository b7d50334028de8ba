/** The lazy modules: loaded only when asked for, and gone when they must be. */
import type { Page } from "@playwright/test";
import { arrived, beginWith, call, type Modules, openWith, propertiesOf } from "./support/modules.ts";
import { expect, test } from "./support/world.ts";

const NAMES = ["autocapture", "engagement", "errors", "web-vitals"] as const;

test("a module's file is requested only when it is asked for", async ({ world, context }) => {
  const requested: string[] = [];
  context.on("request", (request) => requested.push(new URL(request.url()).pathname));
  const files = () => requested.filter((path) => path.includes("/modules/"));
  // given a page without modules, and one that says no to one
  await openWith(world, {});
  await world.open({ modules: { errors: false } });
  expect(files()).toEqual([]);
  // when a page asks for one
  for (const name of NAMES) {
    requested.length = 0;
    const page = await openWith(world, { [name]: true });
    // then that one is requested, from beside obc.js
    expect([...new Set(files())]).toEqual([`/dist/modules/${name}.js`]);
    await page.close();
  }
});

/** How many listeners the window and the document have. */
const listeners = async (page: Page): Promise<number> => {
  const devtools = await page.context().newCDPSession(page);
  let count = 0;
  for (const expression of ["window", "document"]) {
    const { result } = await devtools.send("Runtime.evaluate", { expression });
    count += (await devtools.send("DOMDebugger.getEventListeners", { objectId: result.objectId! })).listeners.length;
  }
  await devtools.detach();
  return count;
};

const isHistoryClean = (page: Page) =>
  page.evaluate(() => !Object.hasOwn(history, "pushState") && !Object.hasOwn(history, "replaceState") && !Object.getOwnPropertySymbols(globalThis).includes(Symbol.for("obc.routes")));

const ALL: Modules = { autocapture: { changes: true }, engagement: true, errors: { resources: true } };
const BUTTON = `<button id="buy">Buy</button>`;

test("destroy takes every listener and every patch away, and initialize brings them back", async ({ world }) => {
  const page = await openWith(world, {}, BUTTON);
  const before = await listeners(page);
  await call(page, "destroy");
  const without = await listeners(page);
  // given a client with every module that listens by itself
  await beginWith(world, page, ALL);
  expect(await listeners(page)).toBeGreaterThan(before);
  expect(await isHistoryClean(page)).toBe(false);
  // when it is destroyed
  await call(page, "destroy");
  // then nothing of it is left
  expect(await listeners(page)).toBe(without);
  expect(await isHistoryClean(page)).toBe(true);
  // and when it begins again, so do they
  await call(page, "initialize");
  expect(await isHistoryClean(page)).toBe(false);
  await page.click("#buy");
  expect(propertiesOf(await arrived(world, page), "user_action")).toHaveLength(1);
});

test("history that was patched by others meanwhile stays theirs, and ours does nothing more", async ({ world }) => {
  const page = await openWith(world, ALL);
  await page.evaluate(() => {
    const below = history.pushState;
    history.pushState = function (...given) {
      document.body.dataset["pushed"] = String(given[2]);
      below.apply(this, given);
    };
  });
  await call(page, "destroy");
  await page.evaluate(() => history.pushState({}, "", "/somewhere"));
  expect(await page.evaluate(() => [location.pathname, document.body.dataset["pushed"]])).toEqual(["/somewhere", "/somewhere"]);
  const { tracked } = await world.stats(page);
  await call(page, "initialize");
  await page.evaluate(() => history.pushState({}, "", "/elsewhere"));
  await expect.poll(async () => (await world.stats(page)).tracked).toBeGreaterThan(tracked);
  expect(propertiesOf(await arrived(world, page), "page_view")).toMatchObject([{ page_name: "/elsewhere" }]);
});

test("consent that is denied ends the modules, and granted begins them again", async ({ world }) => {
  const page = await openWith(world, { ...ALL, "web-vitals": true }, BUTTON);
  // when consent is withdrawn
  await call(page, "optOut");
  const { tracked } = await world.stats(page);
  await page.click("#buy");
  await page.evaluate(() => {
    history.pushState({}, "", "/other");
    dispatchEvent(new ErrorEvent("error", { message: "x", filename: "a.js", error: new Error("x") }));
  });
  // then nothing is even tried
  expect((await world.stats(page)).tracked).toBe(tracked);
  expect(await isHistoryClean(page)).toBe(true);
  // when it is granted
  await call(page, "optIn");
  await page.evaluate((name) => (globalThis as unknown as { client: { identify(id: string): void } }).client.identify(name), world.eventName);
  await page.click("#buy");
  const events = await arrived(world, page);
  expect(propertiesOf(events, "user_action")).toMatchObject([{ element_id: "buy" }]);
  expect(propertiesOf(events, "error")).toEqual([]);
});

test("a client that was never allowed runs no module", async ({ world }) => {
  const page = await openWith(world, ALL, BUTTON, { consent: "denied" });
  await page.click("#buy");
  expect((await world.stats(page)).tracked).toBe(0);
  expect(await isHistoryClean(page)).toBe(true);
});

test("two clients on one page share one patch of history, whichever ends first", async ({ world }) => {
  const page = await openWith(world, ALL);
  await page.evaluate(() => ((globalThis as unknown as { first: unknown }).first = (globalThis as unknown as { client: unknown }).client));
  await beginWith(world, page, ALL);
  await page.evaluate(() => (globalThis as unknown as { first: { destroy(): void } }).first.destroy());
  expect(await isHistoryClean(page)).toBe(false);
  await call(page, "destroy");
  expect(await isHistoryClean(page)).toBe(true);
});
