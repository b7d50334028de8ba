/** Consent that is withdrawn while something is awaited, and in a worker: nothing of before is sent. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeSocket, lazy, openBrowser, settle, started } from "./browser.ts";

const fetch = vi.fn(() => Promise.reject(new Error("offline")));

beforeEach(() => {
  openBrowser();
  fetch.mockClear();
  vi.stubGlobal("fetch", fetch);
});
afterEach(settle);

const noSockets = () =>
  vi.stubGlobal(
    "WebSocket",
    class {
      constructor() {
        throw new Error("refused");
      }
    },
  );

test("a worker, which has no localStorage, deletes what is stored when consent is withdrawn", async () => {
  vi.stubGlobal("document", undefined);
  vi.stubGlobal("WorkerGlobalScope", class {});
  Reflect.deleteProperty(globalThis, "localStorage");
  const client = await started({ consent: "granted" });
  client.track("seen");
  await settle();

  client.optOut();
  await settle();
  client.optIn();
  await settle();
  FakeSocket.last.ready();
  await settle();

  expect(client.getStats().refused).toBe(1);
  expect(FakeSocket.all.flatMap((socket) => socket.batches)).toEqual([]);
  client.destroy();
});

test("a batch that waits for what zips it does not leave after consent was withdrawn", async () => {
  noSockets();
  let arrive = (_: unknown) => {};
  const download = new Promise((resolve) => (arrive = resolve));
  const client = await started({ batch_size: 1 }, { fallback_: () => download.then(() => lazy.fallback_()) });
  client.track("seen");
  await settle();

  client.optOut();
  arrive(undefined);
  await settle();

  expect(client.getStats().refused).toBe(1);
  expect(fetch).not.toHaveBeenCalled();
  client.destroy();
});

test("what zips a batch and never arrives holds it up for seconds, not for ever", async () => {
  noSockets();
  const client = await started({ batch_size: 1 }, { fallback_: () => new Promise<never>(() => {}) });
  client.track("seen");

  await vi.waitFor(() => expect(fetch).toHaveBeenCalled(), { timeout: 10_000, interval: 100 });

  client.destroy();
}, 15_000);

test("a store that did not answer before consent was withdrawn is given nothing afterwards", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  // AbortSignal.timeout is not a timer that can be led by hand
  vi.spyOn(AbortSignal, "timeout").mockImplementation((milliseconds) => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(), milliseconds);
    return abort.signal;
  });
  vi.stubGlobal("indexedDB", { open: () => ({}), deleteDatabase: () => ({}) });
  const client = await started();
  client.track("seen");
  await settle();

  client.optOut();
  for (let patience = 0; patience < 4; patience++) {
    vi.advanceTimersByTime(3_000);
    await settle();
  }

  expect(client.getStats().refused).toBe(1);
  expect(Object.keys(localStorage)).toEqual(["obc_t1_consent"]);
  client.destroy();
  vi.useRealTimers();
});
