/** What is tracked in a page's last moment, or while IndexedDB does not open, is found by the next page. */
import { IDBObjectStore } from "fake-indexeddb";
import { beforeEach, expect, test, vi } from "vitest";
import { encode } from "../../src/queue/entry.ts";
import { handOver } from "../../src/transport/rest.ts";
import type { AnalyticsEvent } from "../../src/types.ts";
import { delivered, type FakeStorage, openBrowser, settle, started } from "./browser.ts";

let storage: FakeStorage;
beforeEach(() => {
  ({ storage } = openBrowser());
  vi.stubGlobal("fetch", () => Promise.reject(new Error("no network here")));
});

test("what is tracked just before destroy is stored", async () => {
  const client = await started();
  client.track("last");
  client.destroy();
  await settle();
  expect(await delivered()).toEqual(["last"]);
});

test("more than is stored at once is stored as well", async () => {
  const client = await started();
  for (let n = 0; n < 250; n++) client.track(`n${n}`);
  await Promise.resolve(); // the first of them are being stored
  client.destroy();
  await settle();
  const found = new Set<string>();
  await vi.waitFor(async () => {
    (await delivered()).forEach((name) => found.add(name));
    expect(found.size).toBe(250);
  });
});

test("what is tracked just before consent is asked for again is stored, and sent when it is granted", async () => {
  const client = await started();
  client.track("last");
  client.setConsent("pending");
  await settle();
  client.destroy();
  storage.setItem("obc_t1_consent", "granted");
  expect(await delivered()).toEqual(["last"]);
});

/** A page whose IndexedDB does not open, and that is closed before anything was delivered. */
const leaveInLocalStorage = async () => {
  const open = vi.spyOn(indexedDB, "open").mockImplementation(() => {
    throw new DOMException("not now", "UnknownError");
  });
  const client = await started();
  client.track("left");
  await settle();
  client.destroy();
  await settle();
  open.mockRestore();
};
const left = () => Object.keys(storage).filter((key) => key.startsWith("obc_t1_:"));

test("what had to go into localStorage is delivered once IndexedDB opens again", async () => {
  await leaveInLocalStorage();
  expect(left()).toHaveLength(2);
  storage.setItem("obc_t1_:broken", "{");
  expect(await delivered()).toEqual(["left"]);
  expect(left()).toEqual([]);
});

test("it stays where it is while IndexedDB cannot take it", async () => {
  await leaveInLocalStorage();
  const put = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(() => {
    throw new DOMException("full", "QuotaExceededError");
  });
  (await started()).destroy();
  await settle();
  put.mockRestore();
  expect(left()).toHaveLength(2);
  expect(await delivered()).toEqual(["left"]);
});

const OLD = { event_id: "11111111-1111-4111-8111-111111111111", event_name: "old", timestamp: 1_700_000_000_000 } as AnalyticsEvent;

test("events of the first version are moved where there is no IndexedDB, too", async () => {
  vi.stubGlobal("indexedDB", undefined);
  storage.setItem("obc_analytics_events", JSON.stringify([OLD]));
  expect(await delivered()).toEqual(["old"]);
  expect(storage.getItem("obc_analytics_events")).toBeNull();
});

test("they stay where they are when there is no room to move them", async () => {
  vi.stubGlobal("indexedDB", undefined);
  const text = JSON.stringify([OLD]);
  storage.setItem("obc_analytics_events", text);
  const set = storage.setItem.bind(storage);
  storage.setItem = (key, value) => {
    if (key === `obc_t1_:${encode(OLD, 1).i}`) throw new Error("full");
    set(key, value);
  };
  (await started()).destroy();
  await settle();
  expect(storage.getItem("obc_analytics_events")).toBe(text);
});

test("where neither keepalive nor a beacon exists, handing over is no error: everything stays queued", async () => {
  vi.stubGlobal("Request", class {});
  expect(await handOver("https://a.example/batch", "wk_live_secretkey", [])).toEqual({});
  vi.unstubAllGlobals();
});
