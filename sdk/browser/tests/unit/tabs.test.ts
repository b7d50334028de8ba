/** What tabs of one site share: whoever changed it last is right, and nobody writes it back. */
import { beforeEach, expect, test, vi } from "vitest";
import type { AnalyticsClient, AnalyticsConfig, AnalyticsEvent } from "../../src/types.ts";
import { type FakeStorage, openBrowser, settle, started } from "./browser.ts";

let storage: FakeStorage;
let window: EventTarget;
beforeEach(() => ({ storage, window } = openBrowser()));

/** A tab, and the last event it has tracked. */
const openTab = async (config: Partial<AnalyticsConfig> = {}) => {
  let last: AnalyticsEvent;
  const client = await started({ ...config, before_send: (event) => (last = event) });
  return {
    client,
    track: () => {
      client.track("seen");
      return last;
    },
  };
};
/** Both tabs hear of what the other has stored. */
const hear = () => window.dispatchEvent(new Event("storage"));
const end = async (...tabs: { client: AnalyticsClient }[]) => {
  tabs.forEach(({ client }) => client.destroy());
  await settle();
};

test("a tab that hears of a change writes nothing itself", async () => {
  const [a, b] = [await openTab({ user_id: "u1" }), await openTab({ user_id: "u1" })];
  a.track();
  b.track();
  const write = vi.spyOn(storage, "setItem");
  hear();
  expect(write).not.toHaveBeenCalled();
  await end(a, b);
});

test("who signs out in one tab is signed out in all, and stays so", async () => {
  const [a, b] = [await openTab({ user_id: "u1" }), await openTab({ user_id: "u1" })];
  const before = b.track();
  expect(before.user_id).toBe("u1");
  a.client.register({ plan: "pro" });
  a.client.reset();
  hear();
  const after = b.track();
  expect(after.user_id).toBeUndefined();
  expect(after.properties).toEqual({});
  expect(after.anonymous_id).not.toBe(before.anonymous_id);
  expect(after.session_id).not.toBe(before.session_id);
  expect(a.track()).toMatchObject({ anonymous_id: after.anonymous_id, session_id: after.session_id });
  await end(a, b);
});

test("who signs in in one tab is signed in in all", async () => {
  const [a, b] = [await openTab({ user_id: "u1" }), await openTab({ user_id: "u1" })];
  a.client.identify("u2");
  hear();
  expect([a.track().user_id, b.track().user_id]).toEqual(["u2", "u2"]);
  await end(a, b);
});

test("tabs that each made an id at the same moment agree on the one that was written last", async () => {
  const [a, b] = [await openTab(), await openTab()];
  b.track();
  // a looked before it could see what b has written
  const read = vi.spyOn(storage, "getItem").mockReturnValue(null);
  const last = a.track();
  read.mockRestore();
  // whoever hears of it, and however often, keeps its own to itself
  const ids = [b, a, b, a].map((tab) => {
    hear();
    const { anonymous_id, session_id } = tab.track();
    return [anonymous_id, session_id];
  });
  expect(new Set(ids.map(String))).toEqual(new Set([String([last.anonymous_id, last.session_id])]));
  await end(a, b);
});

test("what was kept in memory is written down once consent is given, in whichever tab", async () => {
  const [a, b] = [await openTab({ consent: "pending" }), await openTab({ consent: "pending" })];
  a.client.identify("u1");
  expect(Object.keys(storage)).toEqual([]);
  b.client.optIn();
  hear();
  expect(b.track().user_id).toBe("u1");
  expect(a.track().anonymous_id).toBe(b.track().anonymous_id);
  await end(a, b);
});

test("where nothing can be written, a tab keeps its own values", async () => {
  vi.spyOn(storage, "setItem").mockImplementation(() => {
    throw new Error("full");
  });
  const tab = await openTab({ user_id: "u1" });
  const first = tab.track();
  expect(tab.track()).toMatchObject({ user_id: "u1", anonymous_id: first.anonymous_id, session_id: first.session_id });
  await end(tab);
});
