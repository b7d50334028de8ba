/** Modules, listeners and values of the page: whatever they do, the client goes on and the page hears nothing of it. */
import { beforeEach, expect, test, vi } from "vitest";
import type { Module } from "../../src/types.ts";
import { FakeSocket, newClient, openBrowser, settle, started } from "./browser.ts";

let window: EventTarget;
beforeEach(() => {
  ({ window } = openBrowser());
  vi.stubGlobal("fetch", () => Promise.reject(new Error("no network here")));
});

const throws = () => {
  throw new Error("mine");
};

test("a module that throws at its start ends no other, and none is started twice", async () => {
  const client = newClient();
  const good = vi.fn<Module>();
  client.use(good);
  client.use(throws);
  await expect(client.initialize()).resolves.toBeUndefined();
  expect(() => client.use(throws)).not.toThrow();
  window.dispatchEvent(new Event("storage"));
  window.dispatchEvent(new Event("pageshow"));
  expect(good).toHaveBeenCalledOnce();
  client.destroy();
});

test("a module that throws at its end keeps nothing from being refused, and no other module running", async () => {
  const client = await started();
  const end = vi.fn();
  client.use(() => throws);
  client.use(() => end);
  client.track("queued");
  expect(() => client.optOut()).not.toThrow();
  expect(end).toHaveBeenCalledOnce();
  expect(client.getStats()).toMatchObject({ refused: 1, storageStats: { eventCount: 0 } });
  client.destroy();
});

test("an onConfig listener that throws keeps no event from being sent, and no other listener from hearing", async () => {
  const client = await started();
  const listener = vi.fn();
  client.onConfig(throws);
  client.onConfig(listener);
  client.track("queued");
  await settle();
  FakeSocket.last.ready();
  expect(listener).toHaveBeenCalledOnce();
  expect(FakeSocket.last.batches).toHaveLength(1);
  expect(client.getStats().connectionStatus).toBe("connected");
  expect(() => client.onConfig(throws)).not.toThrow();
  client.destroy();
});

test.for([
  ["an object without a prototype", Object.create(null)],
  ["a symbol as message", { message: Symbol("mine") }],
  ["a message that throws", { message: { toString: throws } }],
  ["a stack that throws", { stack: { toString: throws } }],
])("%s is reported without what cannot be text", ([, thrown]) => {
  const client = newClient();
  expect(() => client.trackError(thrown)).not.toThrow();
  expect(client.getStats()).toMatchObject({ tracked: 1, rejected: 0, storageStats: { eventCount: 1 } });
});

test("settings that are undefined are none", async () => {
  const client = await started({
    batch_path: undefined, batch_size: undefined, max_queue_bytes: undefined, max_queue_events: undefined, low_priority: undefined, websocket_url: undefined, max_retries: undefined,
  } as object);
  client.track("seen");
  await settle();
  FakeSocket.last.ready();
  expect(FakeSocket.last.url).toBe("wss://a.example/v1/stream");
  expect(FakeSocket.last.batches).toHaveLength(1);
  expect(client.getStats()).toMatchObject({ evicted: 0, rejected: 0 });
  client.destroy();
});
