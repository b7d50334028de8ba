/** What a real server answers in the WebSocket besides plain acks: retry frames of every kind, and events it rejects. */
import type { Page } from "@playwright/test";
import { expect, test, type World } from "./support/world.ts";

interface Frame {
  type: string;
  at: number;
  sent: boolean;
  seq?: number;
  events?: unknown[];
  retry_after_ms?: number;
  permanent?: boolean;
  reason?: string;
}

/** A connected page, and every frame that it sends and receives. */
const openAndListen = async (world: World, config: object = {}): Promise<[Page, Frame[]]> => {
  const page = await world.context.newPage();
  const frames: Frame[] = [];
  const note = (sent: boolean) => (message: { payload: string | Buffer }) =>
    frames.push({ ...(JSON.parse(String(message.payload)) as Frame), sent, at: Date.now() });
  page.on("websocket", (socket) => socket.on("framesent", note(true)).on("framereceived", note(false)));
  await page.goto(world.proxy.url);
  await world.begin(page, config);
  await expect.poll(async () => (await world.stats(page)).connectionStatus).toBe("connected");
  return [page, frames];
};

const retries = (frames: Frame[]) => frames.filter((frame) => frame.type === "retry");
const batches = (frames: Frame[]) => frames.filter((frame) => frame.type === "events");

test("retry: what the server cannot store now is sent again on the same connection, and not before it wants it", async ({ world }) => {
  const [page, frames] = await openAndListen(world);
  // given a server that cannot write
  await world.stack.ask("ALTER TABLE event_ids RENAME TO event_ids_away");
  try {
    await world.track(page, 20);
    await expect.poll(() => retries(frames).length, { timeout: 10_000 }).toBeGreaterThan(0);
    expect(await world.stats(page)).toMatchObject({ accepted: 0, rejected: 0, storageStats: { eventCount: 20 } });
  } finally {
    await world.stack.ask("ALTER TABLE event_ids_away RENAME TO event_ids");
  }
  await world.settled(page);
  // then it was told to wait, and did
  for (const retry of retries(frames)) {
    expect(retry).toMatchObject({ permanent: false, reason: expect.any(String) as unknown, seq: expect.any(Number) as unknown });
    expect(retry.retry_after_ms).toBeGreaterThan(0);
    const next = batches(frames).find((batch) => batch.seq! > retry.seq!)!;
    expect(next.at - retry.at).toBeGreaterThanOrEqual(retry.retry_after_ms! - 50);
  }
  expect(world.proxy.upgrades).toHaveLength(1);
  expect((await world.everyEventIsAccountedFor()).size).toBe(20);
});

test("retry, permanent: a batch that the server will never take is halved, and costs no event", async ({ world }) => {
  // the server takes batches of 150 at most (support/global-setup.ts)
  const [page, frames] = await openAndListen(world, { batch_size: 200 });
  await world.track(page, 200);
  await world.settled(page);
  expect(retries(frames)).toMatchObject([{ permanent: true }]);
  expect(batches(frames).map((batch) => batch.events!.length)).toEqual([200, 100, 100]);
  expect(world.proxy.upgrades).toHaveLength(1);
  expect((await world.everyEventIsAccountedFor()).size).toBe(200);
});

test("retry: batches whose fate nobody knows, for ingest died with them, are sent again and stored once", async ({ world }) => {
  const [page, frames] = await openAndListen(world);
  // given an ingest that takes batches and answers nothing
  world.stack.pause("ingest");
  await world.track(page, 120);
  await expect.poll(() => batches(frames).length).toBeGreaterThan(0);
  // when it dies
  await world.stack.kill("ingest");
  await expect.poll(() => retries(frames).length, { timeout: 10_000 }).toBeGreaterThan(0);
  await world.settled(page, 60);
  expect((await world.everyEventIsAccountedFor()).size).toBe(120);
});

test("an event that the server rejects is reported with its reason, and costs no other", async ({ world }) => {
  const [page, frames] = await openAndListen(world);
  await world.track(page, 5);
  await world.track(page, 1, {}, "x".repeat(101));
  await world.track(page, 5);
  await world.settled(page);
  expect(retries(frames)).toEqual([]);
  await expect.poll(() => world.numbersLost("rejected")).toEqual([5]);
  expect(world.losses).toMatchObject([{ outcome: "rejected", field: "event_category", code: expect.stringMatching(/./) as unknown }]);
  expect(await world.stats(page)).toMatchObject({ accepted: 10, rejected: 1 });
  expect((await world.everyEventIsAccountedFor(["rejected"])).size).toBe(10);
});
