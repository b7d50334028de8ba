/** Consent that is withdrawn with two tabs open: every event that was queued is counted as refused by one tab, once. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AnalyticsClient } from "../../src/types.ts";
import { FakeSocket, openBrowser, settle, started } from "./browser.ts";
import { Channel, createLocks, endTalk, hearAll, talk } from "./tabs-of-a-site.ts";

let window: EventTarget;
let locks: ReturnType<typeof createLocks>;
let losses: string[];
beforeEach(() => {
  locks = createLocks();
  ({ window } = openBrowser({ locks }));
  losses = [];
  endTalk();
  vi.stubGlobal("BroadcastChannel", Channel);
  vi.stubGlobal("fetch", () => Promise.reject(new Error("no network here")));
});
afterEach(settle);

const openTab = () => started({ on_loss: ({ event_id, outcome }) => losses.push(`${outcome} ${event_id}`) });
/** The other tabs hear that consent has changed. */
const hearOfConsent = () => window.dispatchEvent(new Event("storage"));
const refused = (...tabs: AnalyticsClient[]) => tabs.map((tab) => tab.getStats().refused);
const end = async (...tabs: AnalyticsClient[]) => {
  tabs.forEach((tab) => tab.destroy());
  await settle();
};

test("the tab that may send next, and has not heard of consent yet, finds nothing of what was counted", async () => {
  const [a, b] = [await openTab(), await openTab()];
  b.track("seen");
  await settle();
  expect(a.getStats().storageStats.eventCount).toBe(1);
  // b hears neither that it was counted nor that consent is denied before it is its turn
  talk.silent = true;
  a.optOut();
  hearAll();
  await settle();
  hearOfConsent();
  await settle();
  expect(refused(a, b)).toEqual([1, 0]);
  expect(new Set(losses).size).toBe(losses.length);
  await end(a, b);
});

test("an event that the sending tab never heard of is counted by its own tab, when that has its turn", async () => {
  const [a, b] = [await openTab(), await openTab()];
  talk.silent = true;
  b.track("seen");
  await settle();
  a.optOut();
  hearOfConsent();
  expect(refused(a, b)).toEqual([0, 0]);
  hearAll();
  await settle();
  expect(refused(a, b)).toEqual([0, 1]);
  await end(a, b);
});

test("a stored event that is refused while no tab sends is counted when it is somebody's turn", async () => {
  let leave = () => {};
  void locks.request("", {}, () => new Promise<void>((resolve) => (leave = resolve)));
  const tab = await openTab();
  tab.track("seen");
  await settle();
  tab.optOut();
  await settle();
  expect(tab.getStats()).toMatchObject({ refused: 0, storageStats: { eventCount: 0 } });
  leave();
  await settle();
  expect(tab.getStats().refused).toBe(1);
  // and it gave its turn away
  const turn = vi.fn(() => Promise.resolve());
  void locks.request("", {}, turn);
  await settle();
  expect(turn).toHaveBeenCalledOnce();
  await end(tab);
});

test("who agrees again before its turn has counted what was refused, and sends nothing of it", async () => {
  void locks.request("", {}, () => new Promise<void>(() => {}));
  const tab = await openTab();
  tab.track("seen");
  await settle();
  tab.optOut();
  tab.optIn();
  await settle();
  expect(tab.getStats()).toMatchObject({ refused: 1, storageStats: { eventCount: 0 } });
  expect(FakeSocket.all).toEqual([]);
  await end(tab);
});

test("undecided in both tabs, then denied: what both know of is counted once", async () => {
  const [a, b] = [await openTab(), await openTab()];
  b.track("seen");
  await settle();
  a.setConsent("pending");
  await settle();
  hearOfConsent();
  await settle();
  a.optOut();
  hearOfConsent();
  await settle();
  expect(refused(a, b).sort()).toEqual([0, 1]);
  expect(losses).toHaveLength(1);
  await end(a, b);
});

test("who opts out where another tab sends, and is gone before its turn: counted once", async () => {
  const [a, b] = [await openTab(), await openTab()];
  b.track("seen");
  await settle();
  b.optOut();
  b.destroy();
  await settle();
  hearOfConsent();
  await settle();
  expect(refused(a, b)).toEqual([0, 1]);
  await end(a, b);
});
