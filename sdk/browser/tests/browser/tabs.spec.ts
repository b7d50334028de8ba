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
