/** Pages with lazy modules, and what arrived of them. */
import type { Page } from "@playwright/test";
import type { AnalyticsConfig } from "../../../src/types.ts";
import type { StoredEvent } from "./stack.ts";
import { expect, type World } from "./world.ts";

export type Modules = NonNullable<AnalyticsConfig["modules"]>;
type Method = "optOut" | "optIn" | "destroy" | "initialize" | "flush";

/** A page with this content and these modules, all of which run. Its events have the user `world.eventName`. */
export const openWith = async (world: World, modules: Modules, html = "", config: Partial<AnalyticsConfig> = {}): Promise<Page> => {
  const page = await world.context.newPage();
  await page.goto(world.proxy.url);
  await page.evaluate((content) => (document.body.innerHTML = content), html);
  await beginWith(world, page, modules, config);
  return page;
};

export const beginWith = async (world: World, page: Page, modules: Modules, config: Partial<AnalyticsConfig> = {}): Promise<void> => {
  await world.begin(page, { user_id: world.eventName, modules, ...config });
  // The client asked for the file first: when this has it, the module runs, at the latest a turn later.
  for (const name of Object.keys(modules)) await page.evaluate(`import("/dist/modules/${name}.js").then(() => new Promise((resolve) => setTimeout(resolve)))`);
};

/** Until the client knows its device and the room there is: it asked for both first. */
export const deviceIsKnown = (page: Page): Promise<unknown> =>
  page.evaluate(`import("/dist/device.js").then((file) => file.readDevice(navigator).then(() => file.roomFor(1))).then(() => new Promise((resolve) => setTimeout(resolve)))`);

export const call = (page: Page, method: Method): Promise<unknown> => page.evaluate(`client.${method}()`);

/** What is in PostgreSQL of this page's visitor, once everything that is queued was delivered. */
export const arrived = async (world: World, page: Page): Promise<StoredEvent[]> => {
  expect(await call(page, "flush")).toBe(true);
  return world.stack.storedOf(world.eventName);
};

/** The same, of a page that is gone: waits until there are so many. */
export const arrivedLater = async (world: World, name: string, count: number): Promise<StoredEvent[]> => {
  const find = async () => (await world.stack.storedOf(world.eventName)).filter((event) => event.name === name);
  await expect.poll(async () => (await find()).length, { timeout: 20_000 }).toBe(count);
  return find();
};

export const propertiesOf = (events: StoredEvent[], name: string): Record<string, unknown>[] =>
  events.filter((event) => event.name === name).map((event) => event.properties);
