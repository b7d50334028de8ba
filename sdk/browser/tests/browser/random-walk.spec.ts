/**
 * Faults of networks, servers, stores, clocks and consent in random order for a while (OBC_WALK_SECONDS, OBC_WALK_SEED): at
 * the end every event is in PostgreSQL exactly once, or was counted exactly once as evicted or refused.
 */
import type { Page } from "@playwright/test";
import type { Fault } from "./support/proxy.ts";
import { breakStore, clearStore, limitStorage, mendStore, setClock, storedInBrowser } from "./support/store.ts";
import { expect, test } from "./support/world.ts";

const SECONDS = Number(process.env["OBC_WALK_SECONDS"] ?? 60);
const SEED = Number(process.env["OBC_WALK_SEED"]);

/** mulberry32: small, and the same everywhere for the same seed. */
const randomOf = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
};

const FAULTS: Fault[] = [
  { kind: "status", status: 429, retryAfter: 1 },
  { kind: "status", status: 503, retryAfter: 1 },
  { kind: "too-big", events: 9 },
  { kind: "hang" },
  { kind: "reset" },
  { kind: "half" },
  { kind: "lose-answers" },
];

const HOURS = [0, -3, 3, 24 * 20];
const FULL = 10_000;
const SETTLED = 90_000;

test(`a random walk of faults, ${SECONDS} s, seed ${SEED}`, async ({ world, context }) => {
  const random = randomOf(SEED);
  const below = (count: number) => Math.floor(random() * count);
  let hours = 0;
  let isFull = false;
  /** Whether some events may be in the memory of one tab only: then closing it would lose what no SDK could keep. */
  let isVolatile = false;
  /** The site's data was deleted: tabs that are opened afterwards share no locks with those before, and two may send and count. */
  let isParted = false;
  const open = async () => {
    const page = await context.newPage();
    await page.goto(world.proxy.url);
    if (isFull) await limitStorage(context, page, FULL);
    await setClock(page, hours);
    // Tabs differ, so that whoever leads next may send in the other way.
    await world.begin(page, { max_retries: 1, ...(random() < 0.4 && { websocket_url: "" }) });
    return page;
  };
  const pages: Page[] = [await open(), await open()];
  const anyPage = () => pages[below(pages.length)]!;
  const queued = () => Promise.all(pages.map(async (page) => (await world.stats(page)).storageStats.eventCount));
  const lift = () => {
    world.proxy.fault = undefined;
    world.proxy.refuseSockets = false;
    world.proxy.cut();
  };
  const mend = async () => {
    isFull = false;
    for (const page of pages) {
      await limitStorage(context, page);
      await mendStore(page);
    }
  };
  /** Everything is delivered: what is in tabs, and what closed ones have left in the store. */
  const deliverEverything = async () => {
    lift();
    await mend();
    const rest = async () => [...(await queued()), await storedInBrowser(pages[0]!)];
    await expect.poll(async () => Math.max(...(await rest())), { timeout: SETTLED }).toBe(0);
    isVolatile = false;
  };
  const happened: Record<string, number> = {};
  const steps: [weight: number, name: string, happen: () => Promise<unknown> | unknown][] = [
    [10, "track", () => world.track(anyPage(), 1 + below(30))],
    [3, "fault", () => (world.proxy.fault = FAULTS[below(FAULTS.length)])],
    [3, "lift", () => (world.proxy.fault = undefined)],
    [2, "cut", () => world.proxy.cut()],
    [1, "refuse sockets", () => (world.proxy.refuseSockets = !world.proxy.refuseSockets)],
    [2, "offline", async () => {
      await context.setOffline(true);
      await world.track(pages[0]!, 1 + below(10));
      await context.setOffline(false);
    }],
    [1, "open", async () => void (pages.length < 5 && !world.proxy.fault && pages.push(await open()))],
    [1, "close", async () => {
      if (pages.length === 1) return;
      if (isVolatile) await deliverEverything();
      await pages.splice(below(pages.length), 1)[0]!.close({ runBeforeUnload: true });
    }],
    [0.4, "kill", () => world.stack.kill(random() < 0.5 ? "ingest" : "gateway")],
    [0.7, "disk full", async () => {
      isFull = isVolatile = true;
      for (const page of pages) await limitStorage(context, page, FULL);
    }],
    [0.7, "store broken", async () => {
      isVolatile = true;
      await breakStore(anyPage());
    }],
    [0.7, "store mended", mend],
    [0.5, "store cleared", async () => {
      // What only the store has, of tabs that are gone, cannot be had back: some tab knows all of it first.
      const known = async () => Math.max(...(await queued())) >= (await storedInBrowser(pages[0]!));
      await expect.poll(known, { timeout: SETTLED }).toBe(true);
      isVolatile = isParted = true;
      await clearStore(context, pages[0]!);
    }],
    [1, "clock", async () => {
      hours = HOURS[below(HOURS.length)]!;
      for (const page of pages) await setClock(page, hours);
    }],
    [0.7, "sleep", async () => {
      const devtools = await context.newCDPSession(anyPage());
      await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
      if (random() < 0.5) world.proxy.cut();
      await devtools.send("Page.setWebLifecycleState", { state: "active" });
      await devtools.detach();
    }],
    [0.7, "consent", async () => {
      // What was sent and not answered is neither stored nor refused for sure: it is waited for first.
      await deliverEverything();
      if (isParted) while (pages.length > 1) await pages.pop()!.close();
      await context.setOffline(true);
      const before = world.tracked;
      for (const page of pages) await world.track(page, 1 + below(10));
      // At once, or when everything is in the store: either way each is counted, and once.
      if (random() < 0.5) await expect.poll(() => storedInBrowser(pages[0]!)).toBe(world.tracked - before);
      await anyPage().evaluate("client.optOut()");
      await expect.poll(async () => Math.max(...(await queued()))).toBe(0);
      await world.track(anyPage(), 1 + below(5));
      await context.setOffline(false);
      await anyPage().evaluate("client.optIn()");
      await world.track(anyPage(), 1 + below(5));
    }],
  ];
  const total = steps.reduce((sum, [weight]) => sum + weight, 0);
  const deadline = Date.now() + SECONDS * 1_000;
  while (Date.now() < deadline) {
    let left = random() * total;
    const [, name, happen] = steps.find(([weight]) => (left -= weight) < 0)!;
    happened[name] = (happened[name] ?? 0) + 1;
    await happen();
    await pages[0]!.waitForTimeout(below(400));
  }
  await deliverEverything();
  const lost = () => world.losses.length;
  await expect.poll(async () => (await world.stack.stored(world.eventName)).size + lost(), { timeout: 30_000 }).toBeGreaterThanOrEqual(world.tracked);
  await world.everyEventIsAccountedFor(["evicted", "refused"]);
  console.log(`${world.tracked} events, ${lost()} of them refused or evicted, ${world.proxy.hits} hits of faults, steps: ${JSON.stringify(happened)}`);
});
