/** What a consent banner can read, and what "pending" leaves in the browser. */
import { beforeEach, expect, test, vi } from "vitest";
import type { AnalyticsEvent } from "../../src/types.ts";
import { type FakeStorage, newClient, openBrowser, settle, started } from "./browser.ts";

let storage: FakeStorage;
beforeEach(() => {
  ({ storage } = openBrowser());
  vi.stubGlobal("fetch", () => Promise.reject(new Error("no network here")));
});

test("getConsent answers the default, then the decision, also on the next page", () => {
  const { getConsent, optOut } = newClient();
  expect(getConsent()).toBe("granted");
  expect(newClient({ cookieless: true }).getConsent()).toBe("pending");
  optOut();
  expect([getConsent(), newClient().getConsent()]).toEqual(["denied", "denied"]);
});

test("getConsent answers that the browser's own signal denies, whatever was decided", () => {
  openBrowser({ globalPrivacyControl: true });
  const client = newClient();
  client.optIn();
  expect(client.getConsent()).toBe("denied");
});

test("getConsent answers on a server without a navigator, too", () => {
  vi.stubGlobal("document", undefined);
  vi.stubGlobal("localStorage", undefined);
  vi.stubGlobal("navigator", undefined);
  expect(newClient({ consent: "pending" }).getConsent()).toBe("pending");
});

test("cookieless: pending is no decision, and nothing is written down", () => {
  const client = newClient({ cookieless: true });
  client.setConsent("pending");
  expect(Object.keys(storage)).toEqual([]);
});

test("cookieless: who goes back to pending in one tab is undecided in the other, too", () => {
  const [a, b] = [newClient({ cookieless: true }), newClient({ cookieless: true })];
  b.optIn();
  a.setConsent("pending");
  expect([a.getConsent(), b.getConsent()]).toEqual(["pending", "pending"]);
});

test("who opts out and deletes the site's data has opted out in this page all the same", () => {
  const client = newClient();
  client.optOut();
  storage.removeItem("obc_t1_consent");
  expect(client.getConsent()).toBe("denied");
});

test("pending is remembered where a page would begin as granted", () => {
  newClient().setConsent("pending");
  expect(newClient().getConsent()).toBe("pending");
});

test("cookieless: from granted back to pending, ids stay where they are and are not used", async () => {
  const events: AnalyticsEvent[] = [];
  const client = await started({ cookieless: true, before_send: (event) => (events.push(event), event) });
  client.optIn();
  client.track("known");
  await settle();
  const before = storage.getItem("obc_t1_anonymous");
  client.setConsent("pending");
  client.track("nameless");
  client.optIn();
  client.track("known again");
  const [known, nameless, again] = events;
  expect(nameless!.anonymous_id).toBeUndefined();
  expect(nameless!.session_id).not.toBe(known!.session_id);
  expect([before, again!.anonymous_id]).toEqual([known!.anonymous_id, known!.anonymous_id]);
  client.destroy();
  await settle();
});
