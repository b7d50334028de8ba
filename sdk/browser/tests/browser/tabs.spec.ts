/** Two tabs of one site: who the visitor is, the session and consent are the same in both. */
import type { Page } from "@playwright/test";
import type { AnalyticsEvent } from "../../src/types.ts";
import { expect, test, type World } from "./support/world.ts";

const call = (page: Page, code: string) => page.evaluate(`client.${code}`);

/** Tracks one event and answers whose it is, as PostgreSQL has it. */
const whose = async (world: World, page: Page): Promise<Pick<AnalyticsEvent, "user_id" | "anonymous_id" | "session_id">> => {
  const n = String(world.tracked);
  await world.track(page);
  const query = "SELECT user_id, anonymous_id, session_id FROM analytics_events WHERE event_name = $1 AND properties->>'n' = $2";
  const find = () => world.stack.ask<[string, string, string]>(query, world.eventName, n);
  await expect.poll(async () => (await find()).length, { timeout: 20_000 }).toBe(1);
  const [[user_id, anonymous_id, session_id]] = (await find()) as [[string, string, string]];
  return { user_id, anonymous_id, session_id };
};

test("identity, session and sign-out hold in both tabs, and stay", async ({ world }) => {
  const [a, b] = [await world.open({ user_id: "u1" }), await world.open({ user_id: "u1" })];
  const first = await whose(world, a);
  expect(await whose(world, b)).toEqual(first);
  await call(a, "identify('u2')");
  expect(await whose(world, b)).toEqual({ ...first, user_id: "u2" });
  await call(b, "reset()");
  const after = await whose(world, a);
  expect(after.user_id).toBeNull();
  expect([after.anonymous_id, after.session_id]).not.toEqual([first.anonymous_id, first.session_id]);
  // more than the second after which a session's last activity is written down
  await a.waitForTimeout(1_200);
  expect(await whose(world, b)).toEqual(after);
  expect(await whose(world, a)).toEqual(after);
});

test("register in one tab holds in the other, until somebody signs out", async ({ world }) => {
  const [a, b] = [await world.open(), await world.open()];
  const propertiesOf = async (page: Page): Promise<object> => {
    const n = world.tracked;
    await world.track(page, 1, { own: true });
    await expect.poll(async () => (await world.stack.stored(world.eventName)).get(n), { timeout: 20_000 }).toBe(1);
    const query = "SELECT properties::text FROM analytics_events WHERE event_name = $1 AND properties->>'n' = $2";
    const [[text]] = (await world.stack.ask<[string]>(query, world.eventName, String(n))) as [[string]];
    const { n: _, ...properties } = JSON.parse(text) as Record<string, unknown>;
    return properties;
  };
  // What one process writes into localStorage reaches another's a moment later.
  const reached = (page: Page, text: string) => expect.poll(() => page.evaluate(() => JSON.stringify(localStorage))).toContain(text);
  await call(a, "register({ plan: 'pro', theme: 'dark' })");
  await reached(b, "dark");
  await call(b, "register({ theme: 'light' })");
  await reached(a, "light");
  for (const page of [a, b]) expect(await propertiesOf(page)).toEqual({ plan: "pro", theme: "light", own: true });
  // and a page that is opened again has them
  await a.reload();
  await world.begin(a);
  expect(await propertiesOf(a)).toEqual({ plan: "pro", theme: "light", own: true });
  await call(a, "reset()");
  await expect.poll(() => b.evaluate(() => JSON.stringify(localStorage))).not.toContain("light");
  for (const page of [a, b]) expect(await propertiesOf(page)).toEqual({ own: true });
  await world.everyEventIsAccountedFor();
});

test("a session that was idle for half an hour in both tabs is a new one in both", async ({ world }) => {
  const [a, b] = [await world.open(), await world.open()];
  const first = await whose(world, a);
  for (const page of [a, b]) await page.clock.setFixedTime(Date.now() + 29 * 60_000);
  expect(await whose(world, b)).toEqual(first);
  for (const page of [a, b]) await page.clock.setFixedTime(Date.now() + 60 * 60_000);
  const later = await whose(world, b);
  expect(later).toMatchObject({ anonymous_id: first.anonymous_id });
  expect(later.session_id).not.toBe(first.session_id);
  expect(await whose(world, a)).toEqual(later);
});

test("onConfig hears the rules in both tabs, now and at every change, until it is ended", async ({ world }) => {
  const [a, b] = [await world.open(), await world.open()];
  const heard = (page: Page) => page.evaluate<string[][]>("heard");
  for (const page of [a, b]) await page.evaluate("globalThis.heard = []; globalThis.end = client.onConfig((rules) => heard.push(rules.excluded_events))");
  for (const page of [a, b]) await expect.poll(async () => (await heard(page)).at(-1)).toEqual([]);
  try {
    await world.stack.configure({ excluded_events: ["left_out"] });
    for (const page of [a, b]) await expect.poll(async () => (await heard(page)).at(-1)).toEqual(["left_out"]);
    // what listens later hears what is known, at once
    expect(await b.evaluate("new Promise((resolve) => client.onConfig((rules) => resolve(rules.excluded_events)))")).toEqual(["left_out"]);
    // and what has ended hears nothing more
    await a.evaluate("end()");
    const before = await heard(a);
    await world.stack.configure({ excluded_events: ["left_out", "too"] });
    await expect.poll(async () => (await heard(b)).at(-1)).toEqual(["left_out", "too"]);
    await expect.poll(() => a.evaluate("new Promise((resolve) => client.onConfig((rules) => resolve(rules.excluded_events)))")).toEqual(["left_out", "too"]);
    expect(await heard(a)).toEqual(before);
  } finally {
    await world.stack.configure({ excluded_events: [] });
  }
});

test("consent that is granted again in one tab is granted in both", async ({ world }) => {
  const [a, b] = [await world.open({ consent: "denied" }), await world.open({ consent: "denied" })];
  for (const page of [a, b]) await world.track(page, 2);
  await call(b, "optIn()");
  for (const page of [a, b]) await world.track(page, 3);
  await Promise.all([a, b].map((page) => world.settled(page)));
  await expect.poll(async () => (await world.stack.stored(world.eventName)).size).toBe(6);
  await call(a, "optOut()");
  for (const page of [a, b]) await world.track(page, 1);
  for (const page of [a, b]) await expect.poll(async () => (await world.stats(page)).connectionStatus).toBe("disconnected");
  await call(a, "optIn()");
  for (const page of [a, b]) await world.track(page, 4);
  await Promise.all([a, b].map((page) => world.settled(page)));
  await expect.poll(async () => (await world.stack.stored(world.eventName)).size).toBe(14);
  expect((await world.stats(a)).refused + (await world.stats(b)).refused).toBe(6);
  await world.everyEventIsAccountedFor(["refused"]);
});

test("consent that is denied in the tab that sends: whoever would send next counts nothing again", async ({ world, context }) => {
  const pages = [await world.open(), await world.open(), await world.open()];
  const statuses = () => Promise.all(pages.map(async (page) => (await world.stats(page)).connectionStatus));
  // who hears of it first, the next tab that it may send or that consent is denied, differs
  for (let round = 1; round <= 5; round++) {
    await expect.poll(statuses, { timeout: 20_000 }).toContain("connected");
    const sends = pages[(await statuses()).indexOf("connected")]!;
    await context.setOffline(true);
    for (const page of pages) await world.track(page, 10);
    await expect.poll(async () => (await world.stats(sends)).storageStats.eventCount).toBe(30);
    await call(sends, "optOut()");
    for (const page of pages) await expect.poll(async () => (await world.stats(page)).storageStats.eventCount).toBe(0);
    await context.setOffline(false);
    await expect.poll(() => world.losses.length).toBeGreaterThanOrEqual(30 * round);
    await world.everyEventIsAccountedFor(["refused"]);
    await call(sends, "optIn()");
  }
});

test("consent that is denied in one tab is denied in both, and each refused event is counted once", async ({ world, context }) => {
  const [a, b] = [await world.open(), await world.open()];
  await context.setOffline(true);
  await world.track(a, 5);
  await world.track(b, 5);
  // the tab that sends has heard of what the other has
  await expect.poll(async () => Math.max(...(await Promise.all([a, b].map(async (page) => (await world.stats(page)).storageStats.eventCount))))).toBe(10);
  await call(b, "optOut()");
  for (const page of [a, b]) await expect.poll(async () => (await world.stats(page)).storageStats.eventCount).toBe(0);
  await context.setOffline(false);
  await world.track(a, 2);
  expect((await world.everyEventIsAccountedFor(["refused"])).size).toBe(0);
  expect(await a.evaluate(async () => (await indexedDB.databases()).length)).toBe(0);
});
