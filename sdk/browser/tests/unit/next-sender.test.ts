/** The tab that sends changes: whoever sends next knows of every event, and each is counted once. */
import { IDBObjectStore } from "fake-indexeddb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AnalyticsClient } from "../../src/types.ts";
import { type FakeStorage, FakeSocket, openBrowser, settle, started } from "./browser.ts";
import { Channel, createLocks, endTalk } from "./tabs-of-a-site.ts";

let storage: FakeStorage;
beforeEach(() => {
  ({ storage } = openBrowser({ locks: createLocks() }));
  endTalk();
  vi.stubGlobal("BroadcastChannel", Channel);
  vi.stubGlobal("fetch", () => Promise.reject(new Error("no network here")));
});
afterEach(settle);

const queued = (client: AnalyticsClient) => client.getStats().storageStats.eventCount;
const end = async (...tabs: AnalyticsClient[]) => {
  tabs.forEach((tab) => tab.destroy());
  await settle();
};
/** The server answers every batch that it has not answered yet. */
const answered = new Set<object>();
const answerAll = async () => {
  for (const socket of FakeSocket.all)
    for (const batch of socket.batches) {
      if (answered.has(batch)) continue;
      answered.add(batch);
      socket.ack(batch);
    }
  await settle();
};
const sentTimes = (name: string) => FakeSocket.all.flatMap(({ batches }) => batches.flatMap(({ events }) => events.filter((event) => event.event_name === name))).length;

test("a follower's event that no store took is sent by the tab that sends next", async () => {
  vi.stubGlobal("indexedDB", undefined);
  vi.spyOn(storage, "setItem").mockImplementation(() => {
    throw new Error("full");
  });
  const [a, b, c] = [await started(), await started(), await started()];
  c.track("seen");
  await settle();
  a.destroy();
  await settle();
  FakeSocket.last.ready();
  await settle();
  expect([queued(b), queued(c)]).toEqual([1, 1]);
  await answerAll();
  expect([queued(b), queued(c), b.getStats().accepted, sentTimes("seen")]).toEqual([0, 0, 1, 1]);
  await end(b, c);
});

test("a tab that was away while its event was delivered hears of it when it is back", async () => {
  const [a, b] = [await started(), await started()];
  b.track("seen");
  await settle();
  b.destroy(); // as a page that goes to the back/forward cache
  await settle();
  FakeSocket.last.ready();
  await settle();
  await answerAll();
  expect([a.getStats().accepted, queued(b)]).toEqual([1, 1]);
  await b.initialize();
  await settle();
  await answerAll();
  expect(queued(b)).toBe(0);
  expect(await b.flush(0)).toBe(true);
  a.optOut();
  await settle();
  expect([a.getStats().refused, b.getStats().refused]).toEqual([0, 0]);
  await end(a, b);
});

for (const [why, lose] of [
  [
    "could not take once",
    async (client: AnalyticsClient) => {
      const put = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(() => {
        throw new DOMException("full", "QuotaExceededError");
      });
      client.track("seen");
      await settle();
      put.mockRestore();
    },
  ],
  [
    "has lost",
    async (client: AnalyticsClient) => {
      client.track("seen");
      await settle();
      await new Promise((resolve) => (indexedDB.deleteDatabase("obc_t1_").onsuccess = resolve));
    },
  ],
] as const)
  test(`what the store ${why} is stored again before the tab that sends is closed`, async () => {
    const a = await started();
    await lose(a);
    const b = await started();
    await settle();
    await end(a);
    expect(queued(b)).toBe(1);
    await end(b);
  });

test("refused and agreed again while a tab was away: it sends nothing of before", async () => {
  const [a, b] = [await started(), await started()];
  b.track("seen");
  await settle();
  b.destroy();
  await settle();
  a.optOut();
  await settle();
  a.optIn();
  await settle();
  await b.initialize();
  await settle();
  FakeSocket.last.ready();
  await settle();
  await answerAll();
  expect([sentTimes("seen"), a.getStats().refused]).toEqual([0, 1]);
  await end(a, b);
});

test("tracked while leaving, delivered by another tab, then denied: it is not refused as well", async () => {
  const [a, b] = [await started(), await started()];
  b.track("seen");
  b.destroy();
  await settle();
  const c = await started(); // a looks into the store
  FakeSocket.last.ready();
  await settle();
  await answerAll();
  expect(a.getStats().accepted).toBe(1);
  a.optOut();
  await settle();
  await b.initialize();
  await settle();
  expect([a, b, c].map((tab) => tab.getStats().refused)).toEqual([0, 0, 0]);
  await end(a, b, c);
});

test("what no store took, and is evicted while consent is undecided, is counted", async () => {
  vi.stubGlobal("indexedDB", undefined);
  vi.spyOn(storage, "setItem").mockImplementation(() => {
    throw new Error("full");
  });
  const client = await started({ max_queue_events: 1 });
  client.track("one");
  await Promise.resolve();
  client.setConsent("pending");
  await settle();
  client.track("two");
  expect(client.getStats()).toMatchObject({ evicted: 1, storageStats: { eventCount: 1 } });
  await end(client);
});

test("a page that is opened writes nothing anew that others have stored", async () => {
  const [a, b] = [await started(), await started()];
  b.track("seen");
  await settle();
  const said = vi.spyOn(Channel.prototype, "postMessage");
  const c = await started();
  expect(said.mock.calls.flatMap(([message]) => (message as { a?: unknown[] }).a ?? [])).toEqual([]);
  await end(a, b, c);
});
