/** Faults in random order for a while (OBC_WALK_SECONDS, OBC_WALK_SEED): at the end every event is accounted for. */
import type { Page } from "@playwright/test";
import type { Fault } from "./support/proxy.ts";
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

test(`a random walk of faults, ${SECONDS} s, seed ${SEED}`, async ({ world, context }) => {
  const random = randomOf(SEED);
  const below = (count: number) => Math.floor(random() * count);
  // Tabs differ, so that whoever leads next may send in the other way.
  const open = () => world.open({ max_retries: 1, ...(random() < 0.4 && { websocket_url: "" }) });
  const pages: Page[] = [await open(), await open()];
  const steps: [weight: number, happen: () => Promise<unknown> | unknown][] = [
    [10, () => world.track(pages[below(pages.length)]!, 1 + below(30))],
    [3, () => (world.proxy.fault = FAULTS[below(FAULTS.length)])],
    [3, () => (world.proxy.fault = undefined)],
    [2, () => world.proxy.cut()],
    [1, () => (world.proxy.refuseSockets = !world.proxy.refuseSockets)],
    [2, async () => {
      await context.setOffline(true);
      await world.track(pages[0]!, 1 + below(10));
      await context.setOffline(false);
    }],
    [1, async () => void (pages.length < 5 && !world.proxy.fault && pages.push(await open()))],
    [1, async () => void (pages.length > 1 && (await pages.splice(below(pages.length), 1)[0]!.close({ runBeforeUnload: true })))],
    [0.4, () => world.stack.kill(random() < 0.5 ? "ingest" : "gateway")],
  ];
  const total = steps.reduce((sum, [weight]) => sum + weight, 0);
  const deadline = Date.now() + SECONDS * 1_000;
  while (Date.now() < deadline) {
    let left = random() * total;
    await steps.find(([weight]) => (left -= weight) < 0)![1]();
    await pages[0]!.waitForTimeout(below(400));
  }
  world.proxy.fault = undefined;
  world.proxy.refuseSockets = false;
  world.proxy.cut();
  await Promise.all(pages.map((page) => world.settled(page, 90)));
  await expect.poll(async () => (await world.stack.stored(world.eventName)).size, { timeout: 30_000 }).toBe(world.tracked);
  await world.everyEventIsAccountedFor();
  console.log(`${world.tracked} events, ${world.proxy.hits} hits of faults`);
});
