/** Faults of networks, servers, stores and clocks: nothing tracked is lost, nothing is stored twice. */
import type { Page } from "@playwright/test";
import type { Fault } from "./support/proxy.ts";
import { clearStore, editStore, setClock, storedInBrowser } from "./support/store.ts";
import { expect, test, type World } from "./support/world.ts";

const REST = { websocket_url: "" };

test("offline then online", async ({ world, context }) => {
  const page = await world.open();
  await context.setOffline(true);
  await world.track(page, 30);
  expect((await world.stats(page)).accepted).toBe(0);
  await context.setOffline(false);
  await world.settled(page);
  await world.everyEventIsAccountedFor();
});

test("a page that is closed mid-flight", async ({ world }) => {
  const page = await world.open();
  await world.track(page, 40);
  await page.close({ runBeforeUnload: true });
  await world.settled(await world.open());
  await expect.poll(async () => (await world.stack.stored(world.eventName)).size, { timeout: 20_000 }).toBe(40);
  await world.everyEventIsAccountedFor();
});

test("a page that is closed while the network is down", async ({ world, context }) => {
  const page = await world.open();
  await context.setOffline(true);
  await world.track(page, 40);
  await expect.poll(async () => storedInBrowser(page)).toBe(40);
  await page.close();
  await context.setOffline(false);
  const next = await world.open();
  await expect.poll(() => storedInBrowser(next)).toBe(0);
  await world.everyEventIsAccountedFor();
});

test("five tabs at once, and the one that sends is closed", async ({ world }) => {
  const pages = await Promise.all(Array.from({ length: 5 }, () => world.open()));
  await Promise.all(pages.map((page) => world.track(page, 20)));
  await pages[0]!.close();
  const others = pages.slice(1);
  await Promise.all(others.map((page) => world.track(page, 20)));
  await Promise.all(others.map((page) => world.settled(page)));
  const connected = await Promise.all(others.map(async (page) => (await world.stats(page)).connectionStatus));
  expect(connected.filter((status) => status === "connected")).toHaveLength(1);
  await expect.poll(async () => (await world.stack.stored(world.eventName)).size, { timeout: 20_000 }).toBe(180);
  await world.everyEventIsAccountedFor();
});

for (const name of ["ingest", "gateway"]) {
  test(`${name} is killed and restarted between send and ack`, async ({ world }) => {
    const page = await world.open();
    await world.track(page, 20);
    world.proxy.fault = { kind: "lose-answers" };
    await world.track(page, 200);
    await expect.poll(() => world.proxy.hits).toBeGreaterThan(0);
    await world.stack.kill(name);
    world.proxy.fault = undefined;
    await world.track(page, 20);
    await world.settled(page, 80);
    await world.everyEventIsAccountedFor();
    expect((await world.stats(page)).duplicate).toBeGreaterThan(0);
  });
}

const meet = async (world: World, fault: Fault, config: object): Promise<Page> => {
  const page = await world.open(config);
  world.proxy.hits = 0;
  world.proxy.fault = fault;
  if (!("websocket_url" in config)) world.proxy.cut();
  await world.track(page, 60);
  await expect.poll(() => world.proxy.hits, { timeout: 30_000 }).toBeGreaterThan(0);
  world.proxy.fault = undefined;
  // What hangs is given up by cutting it: the deadline of 20 s is a unit test's matter.
  if (fault.kind === "hang") world.proxy.cut();
  await world.settled(page);
  await world.everyEventIsAccountedFor();
  return page;
};

for (const kind of ["hang", "reset", "half", "lose-answers"] as const) {
  test(`REST: ${kind}`, async ({ world }) => void (await meet(world, { kind }, REST)));
  test(`WebSocket: ${kind}`, async ({ world }) => void (await meet(world, { kind }, {})));
}

test("429 and 503 are obeyed: nothing comes before Retry-After", async ({ world }) => {
  for (const status of [429, 503]) {
    world.proxy.batches.length = 0;
    const page = await meet(world, { kind: "status", status, retryAfter: 3 }, REST);
    const [first, second] = world.proxy.batches;
    expect(second!.at - first!.at).toBeGreaterThanOrEqual(3_000);
    await page.close();
  }
});

test("413 halves the batch until it fits", async ({ world }) => {
  const page = await world.open(REST);
  world.proxy.fault = { kind: "too-big", events: 7 };
  await world.track(page, 50);
  await world.settled(page);
  expect(world.proxy.batches.slice(0, 4).map((batch) => batch.events)).toEqual([50, 25, 12, 6]);
  await world.everyEventIsAccountedFor();
});

for (const [transport, config] of [["REST", REST], ["the WebSocket", {}]] as const) {
  test(`one unreadable event in the store costs only itself: 400 over ${transport}`, async ({ world, context }) => {
    const first = await world.open(config);
    await context.setOffline(true);
    await world.track(first, 20);
    await expect.poll(() => storedInBrowser(first)).toBe(20);
    // Half a character: our own check passes it, the server cannot read the whole batch.
    await editStore(first, { i: "01890000-0000-7000-8000-000000000000", t: Date.now(), p: 1, j: '{"event_id":"01890000-0000-7000-8000-000000000000","event_name":"\\ud800"}' });
    await first.close();
    await context.setOffline(false);
    const second = await world.open(config);
    await expect.poll(() => storedInBrowser(second)).toBe(0);
    expect(world.losses.map((loss) => loss.outcome)).toEqual(["rejected"]);
    await world.everyEventIsAccountedFor(["rejected"]);
    expect((await world.stack.stored(world.eventName)).size).toBe(20);
  });
}

test("a malformed store is cleaned up, and what is good in it is sent", async ({ world, context }) => {
  const first = await world.open();
  await context.setOffline(true);
  await world.track(first, 5);
  await expect.poll(() => storedInBrowser(first)).toBe(5);
  for (const junk of [{ i: "a" }, { i: "b", j: "{", t: 1 }, { i: "c", j: "[]", t: "x" }, { i: "", t: 0, j: null }]) await editStore(first, junk);
  await first.close();
  await context.setOffline(false);
  const second = await world.open();
  await expect.poll(() => storedInBrowser(second)).toBe(0);
  await world.everyEventIsAccountedFor();
});

test("a store that is cleared mid-run", async ({ world, context }) => {
  const page = await world.open();
  await context.setOffline(true);
  await world.track(page, 20);
  await expect.poll(() => storedInBrowser(page)).toBe(20);
  await clearStore(context, page);
  await world.track(page, 20);
  await context.setOffline(false);
  await world.settled(page);
  await world.everyEventIsAccountedFor();
});

const BLOCKED: Record<string, string> = {
  "IndexedDB missing": "delete window.indexedDB; Object.defineProperty(window, 'indexedDB', { value: undefined })",
  "IndexedDB forbidden": "IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError') }",
  "IndexedDB silent": "IDBFactory.prototype.open = () => ({})",
  "all storage forbidden":
    "for (const name of ['indexedDB', 'localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError') } })",
  "no Web Locks": "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })",
};
for (const [name, script] of Object.entries(BLOCKED)) {
  test(`storage blocked: ${name}`, async ({ world, context }) => {
    await context.addInitScript(script);
    const page = await world.open();
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(error.message));
    await world.track(page, 20);
    await world.settled(page);
    await world.everyEventIsAccountedFor();
    expect(problems).toEqual([]);
  });
}

for (const hours of [-3, 3, 24 * 20]) {
  test(`the clock jumps by ${hours} hours while events are queued`, async ({ world, context }) => {
    const page = await world.open();
    await context.setOffline(true);
    await world.track(page, 10);
    await setClock(page, hours);
    await world.track(page, 10);
    await context.setOffline(false);
    await world.settled(page);
    await world.everyEventIsAccountedFor();
  });
}

test("sleep: a page that is frozen goes on when it wakes", async ({ world, context }) => {
  const page = await world.open();
  const devtools = await context.newCDPSession(page);
  await world.track(page, 10);
  await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
  world.proxy.cut();
  await devtools.send("Page.setWebLifecycleState", { state: "active" });
  await world.track(page, 10);
  await world.settled(page);
  await world.everyEventIsAccountedFor();
});

test("consent withdrawn mid-queue: nothing more is sent, and what was queued is counted as refused", async ({ world, context }) => {
  const page = await world.open();
  await world.track(page, 10);
  await world.settled(page);
  await context.setOffline(true);
  await world.track(page, 20);
  await page.evaluate(() => (globalThis as unknown as { client: { optOut(): void } }).client.optOut());
  await world.track(page, 5);
  await context.setOffline(false);
  expect(await world.stats(page)).toMatchObject({ tracked: 35, accepted: 10, refused: 25, storageStats: { eventCount: 0 } });
  await expect.poll(() => storedInBrowser(page)).toBe(0);
  await page.reload();
  await world.begin(page);
  await world.track(page, 1);
  expect(await world.stats(page)).toMatchObject({ refused: 1, connectionStatus: "disconnected" });
  expect((await world.everyEventIsAccountedFor(["refused"])).size).toBe(10);
});
