/** What is tracked arrives, exactly once, whatever happens on the way. */
import { expect, test } from "./support/world.ts";

test("events arrive over the WebSocket", async ({ world }) => {
  const page = await world.open();
  await world.track(page, 120);
  await world.settled(page);
  expect(await world.stats(page)).toMatchObject({ tracked: 120, accepted: 120, connectionStatus: "connected" });
  expect(world.proxy.batches).toEqual([]);
  await world.everyEventIsAccountedFor();
});

test("without a WebSocket, events arrive over REST in batches of 50", async ({ world }) => {
  const page = await world.open({ websocket_url: "" });
  await world.track(page, 120);
  await world.settled(page);
  expect(world.proxy.batches.map((batch) => batch.events)).toEqual([50, 50, 20]);
  await world.everyEventIsAccountedFor();
});

test("when WebSockets are refused three times, REST takes over", async ({ world }) => {
  world.proxy.refuseSockets = true;
  const page = await world.open();
  await world.track(page, 10);
  await world.settled(page);
  await world.everyEventIsAccountedFor();
});
