/** What is on the wire: compressed where it pays, and to the addresses that the settings say. */
import type { Seen } from "./support/proxy.ts";
import { expect, test } from "./support/world.ts";

const REST = { websocket_url: "" };

test("a large batch over REST is gzipped, a small one is not, and both are stored", async ({ world }) => {
  const page = await world.open(REST);
  await world.track(page, 50, { text: "the same again ".repeat(20) });
  await world.settled(page);
  const large = world.proxy.batches.at(-1)!;
  expect(large).toMatchObject({ events: 50, encoding: "gzip" } satisfies Partial<Seen>);
  // 50 events of more than 300 characters each
  expect(large.bytes).toBeLessThan((50 * 300) / 2);
  await page.evaluate("client.destroy()");
  // An event without a long browser's name and address is below what is worth it.
  await page.evaluate(() => {
    Object.defineProperty(navigator, "userAgent", { value: "x" });
    Object.defineProperty(document, "referrer", { value: "" });
  });
  await world.begin(page, REST);
  await world.track(page);
  await world.settled(page);
  const small = world.proxy.batches.at(-1)!;
  expect(small).toMatchObject({ events: 1, encoding: undefined });
  expect(small.bytes).toBeLessThan(1_024);
  expect((await world.everyEventIsAccountedFor()).size).toBe(51);
});

test("a browser that cannot compress sends text", async ({ world, context }) => {
  await context.addInitScript("delete globalThis.CompressionStream");
  const page = await world.open(REST);
  await world.track(page, 50);
  await world.settled(page);
  expect(world.proxy.batches).toMatchObject([{ events: 50, encoding: undefined }]);
  await world.everyEventIsAccountedFor();
});

test("batch_path and websocket_url say where events go", async ({ world }) => {
  // given another path for batches on the bare origin, also when the page is closed
  const page = await world.open({ ...REST, endpoint: world.proxy.url, batch_path: "/v1/events:batch" });
  await world.track(page, 5);
  await world.settled(page);
  await world.track(page, 3);
  await page.close({ runBeforeUnload: true });
  await expect.poll(() => world.proxy.batches.length).toBeGreaterThanOrEqual(2);
  expect(new Set(world.proxy.batches.map(({ path }) => path))).toEqual(new Set(["/v1/events:batch"]));
  expect(world.proxy.upgrades).toEqual([]);
  // and another one for the WebSocket
  const other = await world.open({ websocket_url: world.proxy.url.replace("http", "ws") + "/ws/analytics" });
  await world.track(other, 5);
  await world.settled(other);
  expect(new Set(world.proxy.upgrades)).toEqual(new Set(["/ws/analytics"]));
  // then everything arrives
  await expect.poll(async () => (await world.stack.stored(world.eventName)).size).toBe(13);
  await world.everyEventIsAccountedFor();
});
