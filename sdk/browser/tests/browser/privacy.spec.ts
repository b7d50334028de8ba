/** Consent, signals, cookieless mode and the tenant's rules, in a real browser. */
import { expect, test, type World } from "./support/world.ts";
import type { Page } from "@playwright/test";

const traces = (page: Page) =>
  page.evaluate(async () => [...Object.keys(localStorage), ...Object.keys(sessionStorage), ...(await indexedDB.databases()).map(({ name }) => name), document.cookie].filter(Boolean));

test("cookieless: events arrive, and nothing is stored before consent", async ({ world }) => {
  const page = await world.open({ cookieless: true });
  await world.track(page, 5);
  await world.settled(page);
  expect(await traces(page)).toEqual([]);
  await world.everyEventIsAccountedFor();
  await page.evaluate(() => (globalThis as unknown as { client: { optIn(): void } }).client.optIn());
  await world.track(page, 5);
  await world.settled(page);
  expect(await traces(page)).not.toEqual([]);
  await world.everyEventIsAccountedFor();
});

test("pending: events wait in memory, and are sent once consent is granted", async ({ world }) => {
  const page = await world.open({ consent: "pending" });
  await world.track(page, 5);
  expect(await traces(page)).toEqual([]);
  expect(await world.stats(page)).toMatchObject({ connectionStatus: "disconnected", storageStats: { eventCount: 5 } });
  await page.evaluate(() => (globalThis as unknown as { client: { optIn(): void } }).client.optIn());
  await world.settled(page);
  await world.everyEventIsAccountedFor();
});

for (const [name, script] of [
  ["Global Privacy Control", "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { value: true })"],
  ["Do Not Track", "Object.defineProperty(Navigator.prototype, 'doNotTrack', { value: '1' })"],
] as const) {
  test(`${name} is obeyed`, async ({ world, context }) => {
    await context.addInitScript(script);
    const page = await world.open();
    await world.track(page, 3);
    expect(await world.stats(page)).toMatchObject({ tracked: 3, refused: 3, connectionStatus: "disconnected" });
    expect(await traces(page)).toEqual([]);
  });
}

const withRules = async (world: World, rules: object, check: (page: Page) => Promise<void>) => {
  const page = await world.open();
  await expect.poll(async () => (await world.stats(page)).connectionStatus).toBe("connected");
  await world.stack.configure(rules);
  try {
    await check(page);
  } finally {
    await world.stack.configure({ enabled: true, excluded_events: [], tracking_level: "standard" });
  }
};

test("rules that the server pushes hold at once", async ({ world }) => {
  await withRules(world, { excluded_events: ["t_*"] }, async (page) => {
    await expect
      .poll(async () => {
        await world.track(page);
        return world.losses.some((loss) => loss.code === "excluded" && loss.event_id === "");
      })
      .toBe(true);
  });
});

test("a tenant that is switched off gets nothing more, at once", async ({ world }) => {
  await withRules(world, { enabled: false }, async (page) => {
    // when the rule has arrived, which the page hears
    await expect
      .poll(async () => {
        await world.track(page);
        return world.losses.some((loss) => loss.code === "disabled" && loss.event_id === "");
      })
      .toBe(true);
    await world.settled(page);
    // then nothing is queued, and nothing is stored
    const { storageStats, dropped } = await world.stats(page);
    await world.track(page, 10);
    expect(await world.stats(page)).toMatchObject({ storageStats, dropped: dropped + 10 });
    // and switched on again, events flow without a reload
    await world.stack.configure({ enabled: true });
    await expect
      .poll(async () => {
        const before = (await world.stats(page)).dropped;
        await world.track(page);
        return (await world.stats(page)).dropped - before;
      })
      .toBe(0);
    await world.settled(page);
    await world.everyEventIsAccountedFor(["dropped"]);
  });
});

test("tracking level minimal: what the server would strip does not leave the browser", async ({ world, context }) => {
  const sent: string[] = [];
  context.on("page", (page) => page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(String(payload)))));
  await withRules(world, { tracking_level: "minimal" }, async (page) => {
    type Sent = { events: Record<string, unknown>[] };
    const lastEvent = () => (JSON.parse(sent.filter((frame) => frame.includes('"events"')).at(-1) ?? '{"events":[]}') as Sent).events.at(-1) ?? {};
    await page.evaluate(() => history.replaceState({}, "", "/cart?coupon=private"));
    // when the rule has arrived
    await expect
      .poll(async () => {
        await world.track(page, 1, { text: "private" });
        await world.settled(page);
        return lastEvent()["properties"];
      })
      .toEqual({});
    // then names and numbers go, and nothing else
    const event = lastEvent();
    expect(event).toMatchObject({ event_name: world.eventName, page_url: "/cart", device_info: { device_type: "desktop" } });
    expect(Object.keys(event).sort()).toEqual(["device_info", "event_category", "event_id", "event_name", "page_url", "properties", "session_id", "timestamp"]);
    expect(JSON.stringify(event)).not.toContain("private");
    const [[count]] = (await world.stack.ask<[number]>("SELECT count(*) FROM analytics_events WHERE event_name = $1", world.eventName)) as [[number]];
    expect(count).toBe(world.tracked);
  });
});
