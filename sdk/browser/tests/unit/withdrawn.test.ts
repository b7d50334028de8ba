/** Consent that is denied while nothing runs: what earlier pages have left goes as well, and never leaves the browser. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { delivered, type FakeStorage, newClient, openBrowser, settle, started } from "./browser.ts";

let storage: FakeStorage;
beforeEach(() => {
  ({ storage } = openBrowser());
  vi.stubGlobal("fetch", () => Promise.reject(new Error("no network here")));
});
afterEach(settle);

/** A page that tracks, stores, and is gone before anything was delivered. */
const leaveEvents = async () => {
  const client = await started();
  client.track("left");
  await settle();
  client.destroy();
  await settle();
};
const agreeAgain = () => storage.setItem("obc_t1_consent", "granted");
const eventKeys = () => Object.keys(storage).filter((key) => key.startsWith("obc_t1_:"));

for (const [kind, prepare] of [
  ["IndexedDB", () => {}],
  ["localStorage", () => vi.stubGlobal("indexedDB", undefined)],
] as const) {
  describe(kind, () => {
    beforeEach(prepare);

    test("what is left is delivered while consent is granted", async () => {
      await leaveEvents();
      expect(await delivered()).toEqual(["left"]);
    });

    test("a page that begins with a privacy signal throws it away", async () => {
      await leaveEvents();
      vi.stubGlobal("navigator", { ...navigator, globalPrivacyControl: true });
      (await started()).destroy();
      expect(eventKeys()).toEqual([]);
      vi.stubGlobal("navigator", { ...navigator, globalPrivacyControl: false });
      expect(await delivered()).toEqual([]);
    });

    test("optOut before initialize throws it away, with the ids", async () => {
      await leaveEvents();
      newClient().optOut();
      await settle();
      expect(Object.keys(storage)).toEqual(["obc_t1_consent"]);
      agreeAgain();
      expect(await delivered()).toEqual([]);
    });

    test("optOut after destroy throws it away, with the ids", async () => {
      const client = await started();
      client.track("left");
      await settle();
      client.destroy();
      client.optOut();
      await settle();
      expect(Object.keys(storage)).toEqual(["obc_t1_consent"]);
      agreeAgain();
      expect(await delivered()).toEqual([]);
    });

    test("undecided, then denied: counted as refused, and not sent later", async () => {
      const client = await started();
      client.track("left");
      await settle();
      client.setConsent("pending");
      await settle();
      client.optOut();
      await settle();
      expect(client.getStats()).toMatchObject({ refused: 1, storageStats: { eventCount: 0 } });
      client.destroy();
      agreeAgain();
      expect(await delivered()).toEqual([]);
    });
  });
}

test("what the first version of this SDK has left goes too", async () => {
  storage.setItem("obc_analytics_events", JSON.stringify([{ event_id: "11111111-1111-4111-8111-111111111111", event_name: "old", timestamp: 1 }]));
  newClient().optOut();
  agreeAgain();
  expect(await delivered()).toEqual([]);
});

test("cookieless: what waits before initialize is refused, and nothing of it is handed over", async () => {
  const fetch = vi.fn();
  vi.stubGlobal("fetch", fetch);
  const client = newClient({ cookieless: true });
  client.track("seen");
  client.optOut();
  client.destroy();
  expect(fetch).not.toHaveBeenCalled();
  expect(client.getStats()).toMatchObject({ refused: 1, storageStats: { eventCount: 0 } });
});

test("storage that is forbidden throws nothing into the page", () => {
  const forbidden = { get: () => { throw new DOMException("no", "SecurityError"); } };
  Object.defineProperty(globalThis, "localStorage", { ...forbidden, configurable: true });
  Object.defineProperty(globalThis, "indexedDB", { ...forbidden, configurable: true });
  expect(() => newClient().optOut()).not.toThrow();
});
