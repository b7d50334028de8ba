/** What must not leave the page, and what must not be thrown into it. */
import { beforeEach, expect, test, vi } from "vitest";
import { newClient, openBrowser, settle } from "./browser.ts";

let window: EventTarget;
const fetch = vi.fn(() => Promise.reject(new Error("no network here")));

beforeEach(() => {
  fetch.mockClear();
  ({ window } = openBrowser());
  vi.stubGlobal("fetch", fetch);
});

test("before consent is decided, nothing is handed over: not when the page is hidden, not when the client ends", async () => {
  // given an event that waits for consent
  const client = newClient({ consent: "pending" });
  await client.initialize();
  client.track("seen");
  // when the page goes, and an event is tracked as it goes, and the client ends
  window.dispatchEvent(Object.assign(new Event("pagehide"), { persisted: true }));
  client.track("leaving");
  window.dispatchEvent(new Event("visibilitychange"));
  await settle();
  client.destroy();
  client.destroy();
  await settle();
  // then
  expect(fetch).not.toHaveBeenCalled();
  expect(client.getStats().storageStats.eventCount).toBe(2);
});

test("consent that is taken back to undecided keeps what was queued before", async () => {
  const client = newClient();
  await client.initialize();
  client.track("seen");
  client.setConsent("pending");
  window.dispatchEvent(new Event("pagehide"));
  await settle();
  expect(fetch).not.toHaveBeenCalled();
  client.destroy();
});

test.for([undefined, null, 5, "text", { message: 5 }, { message: null, stack: 7 }])(
  "whatever is thrown may be reported: %o",
  (thrown) => {
    const client = newClient({ consent: "pending" });
    client.trackError(thrown);
    expect(client.getStats()).toMatchObject({ tracked: 1, rejected: 0, storageStats: { eventCount: 1 } });
  },
);

test("an on_loss that throws is not thrown into the page, and each loss is told once", () => {
  const on_loss = vi.fn(() => {
    throw new Error("mine");
  });
  const client = newClient({ on_loss });
  client.track("");
  client.setConsent("denied");
  client.track("refused");
  expect(on_loss).toHaveBeenCalledTimes(2);
  expect(client.getStats()).toMatchObject({ rejected: 1, refused: 1 });
});
