/** The defects of the SDK's first version, by their number in its list: none may come back. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { parseUserAgent } from "../../src/device/user-agent.ts";
import { createCells } from "../../src/identity/cells.ts";
import { sessionId } from "../../src/identity/session.ts";
import { openLocalStorage } from "../../src/fallback/local-store.ts";
import { encode } from "../../src/queue/entry.ts";
import { createQueue, newItem, State } from "../../src/queue/queue.ts";
import { backoff } from "../../src/transport/backoff.ts";
import type { AnalyticsEvent } from "../../src/types.ts";
import { FakeSocket, type FakeStorage, openBrowser, settle, started } from "./browser.ts";

let storage: FakeStorage;
let window: EventTarget;
beforeEach(() => ({ storage, window } = openBrowser()));

const entry = (id: string, size = 10, p = 1) =>
  encode({ event_id: id, event_name: "x".repeat(size), timestamp: 1 } as AnalyticsEvent, p);

describe("seed defects", () => {
  test("1: what was sent is not delivered before its ack", async () => {
    const client = await started();
    FakeSocket.last.ready();
    client.track("a");
    await settle();
    expect(FakeSocket.last.batches).toHaveLength(1);
    expect(client.getStats()).toMatchObject({ accepted: 0, batchSize: 1, storageStats: { eventCount: 1 } });
    FakeSocket.last.ack(FakeSocket.last.batches[0]!);
    expect(client.getStats()).toMatchObject({ accepted: 1, batchSize: 0, storageStats: { eventCount: 0 } });
    client.destroy();
  });

  test("2: with the socket down, an event is queued once and sent once", async () => {
    const client = await started();
    client.track("a");
    await settle();
    expect(client.getStats().storageStats.eventCount).toBe(1);
    FakeSocket.last.ready();
    await settle();
    expect(FakeSocket.last.batches.flatMap((batch) => batch.events)).toHaveLength(1);
    client.destroy();
  });

  test("3: a flush that fails keeps its events, and sends them again", async () => {
    const answers = [() => Promise.reject(new TypeError("network")), () => Promise.resolve(Response.json({ results: [{ result: "accepted" }] }))];
    const fetch = vi.fn((_url: string, _request: RequestInit) => answers.shift()!());
    vi.stubGlobal("fetch", fetch);
    vi.spyOn(Math, "random").mockReturnValue(0);
    const client = await started({ websocket_url: "" });
    client.track("a");
    expect(await client.flush()).toBe(true);
    const [first, second] = fetch.mock.calls.map(([, request]) => JSON.parse(request.body as string) as { events: AnalyticsEvent[] });
    expect(second!.events[0]!.event_id).toBe(first!.events[0]!.event_id);
    expect(client.getStats().accepted).toBe(1);
    client.destroy();
  });

  test("4: a queue over its bytes loses its oldest events, and only as many as must go", () => {
    const size = newItem(entry("0"), State.Free).size_;
    const queue = createQueue(100, size * 3);
    const evicted = ["0", "1", "2", "3", "4"].flatMap((id) => queue.add_(newItem(entry(id), State.Free)));
    expect(evicted.map((item) => item.entry_.i)).toEqual(["0", "1"]);
    expect([queue.count_(), queue.bytes_()]).toEqual([3, size * 3]);
  });

  test("5: storing an event writes that event alone, and 2 MB are the most", async () => {
    const store = await openLocalStorage("q");
    await store.add_([entry("1")]);
    const write = vi.spyOn(storage, "setItem");
    await store.add_([entry("2")]);
    expect(write.mock.calls.map(([key]) => key)).toEqual(["q:2"]);
    const queue = createQueue(10_000, 2_000_000);
    for (let n = 0; n < 300; n++) queue.add_(newItem(entry(String(n), 10_000), State.Free));
    expect(queue.bytes_()).toBeLessThanOrEqual(2_000_000);
  });

  test("6: reconnecting never stops, and waits a random part of a growing bound", () => {
    const random = vi.spyOn(Math, "random").mockReturnValue(0.5);
    const waits = Array.from({ length: 2_000 }, (_, failures) => backoff(failures));
    expect(waits.slice(0, 4)).toEqual([500, 1_000, 2_000, 4_000]);
    expect(waits.at(-1)).toBe(30_000);
    random.mockReturnValue(0.1);
    expect(backoff(20)).toBe(6_000);
  });

  test("7: two tabs do not overwrite each other's queue", async () => {
    const [one, two] = [await openLocalStorage("q"), await openLocalStorage("q")];
    await one.add_([entry("1")]);
    await two.add_([entry("2")]);
    await one.remove_(["1"]);
    expect(await two.load_()).toMatchObject([{ i: "2" }]);
  });

  test("8: a session idles out after 30 minutes and ends after 24 hours", () => {
    const cells = createCells("s_", () => true);
    const minute = 60_000;
    const first = sessionId(cells, 0);
    expect(sessionId(cells, 29 * minute)).toBe(first);
    const second = sessionId(cells, 60 * minute);
    expect(second).not.toBe(first);
    let last = second;
    for (let at = 60; at < 60 + 24 * 60; at += 20) last = sessionId(cells, at * minute);
    expect(last).toBe(second);
    expect(sessionId(cells, (60 + 24 * 60 + 1) * minute)).not.toBe(second);
  });

  test.each([
    ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/121.0.0.0", "Edge", "121", "Windows", "desktop"],
    ["Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Mobile/15E148 Safari/604.1", "Safari", "17", "iOS", "mobile"],
    ["Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/120.0.1 Mobile/15E148 Safari/604.1", "Chrome", "120", "iOS", "mobile"],
    ["Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36", "Chrome", "120", "Android", "mobile"],
    ["Mozilla/5.0 (Linux; Android 13; SM-X900) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", "Chrome", "120", "Android", "tablet"],
    ["Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox", "130", "Linux", "desktop"],
  ])("9: %s", (userAgent, browser, browser_version, os, device_type) => {
    expect(parseUserAgent(userAgent, 0)).toMatchObject({ browser, browser_version, os, device_type });
  });

  test("9: an iPad that calls itself a Mac is a tablet with iOS", () => {
    const mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Safari/605.1.15";
    expect(parseUserAgent(mac, 5)).toMatchObject({ browser: "Safari", os: "iOS", device_type: "tablet" });
    expect(parseUserAgent(mac, 0)).toMatchObject({ os: "macOS", device_type: "desktop" });
  });

  test("10: the credential is never written to any storage", async () => {
    const client = await started({ tenant_id: undefined, user_id: "u1" });
    client.register({ plan: "pro" });
    client.track("a");
    client.setConsent("granted");
    await settle();
    const databases = await indexedDB.databases();
    expect(JSON.stringify([Object.entries(storage), databases])).not.toContain("secretkey");
    client.destroy();
  });

  test("15: destroy leaves no timer, no socket and no listener behind", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "setInterval", "clearTimeout", "clearInterval"] });
    const client = await started();
    FakeSocket.last.ready();
    client.track("a");
    await settle();
    client.destroy();
    await settle();
    vi.advanceTimersByTime(0);
    expect(vi.getTimerCount()).toBe(0);
    expect(FakeSocket.last.closed).toBe(true);
    const sockets = FakeSocket.all.length;
    window.dispatchEvent(new Event("online"));
    expect(FakeSocket.all).toHaveLength(sockets);
    vi.useRealTimers();
  });

  test("what the first version stored is read once, and moved", async () => {
    const old = { event_id: "11111111-1111-4111-8111-111111111111", event_name: "old", timestamp: Date.now(), properties: {} };
    storage.setItem("obc_analytics_events", JSON.stringify([old, null, 7]));
    const client = await started();
    FakeSocket.last.ready();
    await vi.waitFor(() => expect(FakeSocket.last.batches.flatMap((batch) => batch.events)).toMatchObject([old]));
    await vi.waitFor(() => expect(storage.getItem("obc_analytics_events")).toBeNull());
    client.destroy();
  });
});
