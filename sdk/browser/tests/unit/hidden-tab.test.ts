/** A hidden tab: what is handed over goes no second way, a pause is a pause, and slow timers are no silence. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AnalyticsClient, AnalyticsConfig } from "../../src/types.ts";
import { openSocket } from "../../src/transport/socket.ts";
import { FakeSocket, openBrowser, settle, started } from "./browser.ts";

let window: EventTarget;
let client: AnalyticsClient | undefined;
/** Answers of the server to what is handed over, in the order in which it is asked. */
let answer: (response: Response | Error) => void;
const fetch = vi.fn((_url: string, _request: RequestInit) =>
  new Promise<Response>((resolve, reject) => (answer = (response) => (response instanceof Error ? reject(response) : resolve(response)))),
);
const handedOver = () =>
  fetch.mock.calls.filter(([, { keepalive }]) => keepalive)
    .map(([, { body }]) => (JSON.parse(body as string) as { events: { event_name: string }[] }).events.map((event) => event.event_name));
const sent = () => FakeSocket.last.batches.flatMap((batch) => batch.events.map((event) => event.event_name));

beforeEach(() => {
  fetch.mockClear();
  ({ window } = openBrowser());
  vi.stubGlobal("fetch", fetch);
});
afterEach(async () => {
  client?.destroy();
  client = undefined;
  await settle();
});

const run = async (config: Partial<AnalyticsConfig> = {}) => {
  client = await started(config);
  if (config.websocket_url === undefined) FakeSocket.last.ready();
  return client;
};
const hide = (hidden = true) => {
  Object.assign(document, { hidden });
  window.dispatchEvent(new Event("visibilitychange"));
};

test("what is handed over goes over the socket only if nobody took it", async () => {
  const { track } = await run();
  hide();
  track("summary");
  await settle();
  expect([handedOver(), sent()]).toEqual([[["summary"]], []]);
  answer(new Error("no network"));
  await settle();
  expect(sent()).toEqual(["summary"]);
});

test("what is tracked later in a hidden tab goes its usual way", async () => {
  const now = vi.spyOn(performance, "now");
  const { track } = await run();
  hide();
  now.mockReturnValue(performance.now() + 1_500);
  track("later");
  await settle();
  expect([handedOver(), sent()]).toEqual([[], ["later"]]);
});

test("what nobody took is handed over again when the page is left", async () => {
  const { track } = await run({ websocket_url: "", cookieless: true });
  track("kept in memory");
  hide();
  answer(new Error("no network"));
  await settle();
  window.dispatchEvent(new Event("pagehide"));
  expect(handedOver()).toEqual([["kept in memory"], ["kept in memory"]]);
});

test("while the server asks to wait, nothing is handed over", async () => {
  const { track } = await run();
  track("first");
  await settle();
  FakeSocket.last.hear({ type: "retry", seq: 1, retry_after_ms: 60_000 });
  hide();
  track("second");
  await settle();
  expect(handedOver()).toEqual([]);
});

test("a pause that the answer to a hand-over asks for holds for the socket too", async () => {
  const { track } = await run();
  hide();
  track("first");
  await settle();
  answer(new Response("{}", { status: 429, headers: { "Retry-After": "60" } }));
  await settle();
  track("second");
  await settle();
  expect([handedOver(), sent()]).toEqual([[["first"]], []]);
});

test("a socket whose timer runs once a minute is kept as long as its heartbeats are answered", () => {
  let tick = () => {};
  vi.spyOn(globalThis, "setInterval").mockImplementation(((call: () => void) => (tick = call)) as never);
  const now = vi.spyOn(performance, "now").mockReturnValue(0);
  const owner = { ready_: vi.fn(), rules_: vi.fn(), settled_: vi.fn(), retry_: vi.fn(), unreadable_: vi.fn(), closed_: vi.fn() };
  openSocket("ws://a.example", "wk", owner);
  FakeSocket.last.ready();
  for (let minute = 1; minute <= 5; minute++) {
    now.mockReturnValue(minute * 60_000);
    tick();
    expect(FakeSocket.last.frames.filter(({ type }) => type === "heartbeat")).toHaveLength(minute);
    FakeSocket.last.hear({ type: "heartbeat" });
  }
  expect(owner.closed_).not.toHaveBeenCalled();
});

test("flush in a tab that does not lead hurries the one that does", async () => {
  const channels = new Set<{ onmessage?: (message: { data: unknown }) => void }>();
  vi.stubGlobal("BroadcastChannel", class {
    onmessage?: (message: { data: unknown }) => void;
    constructor() {
      channels.add(this);
    }
    postMessage(data: unknown) {
      for (const other of channels) if (other !== this) other.onmessage?.({ data: structuredClone(data) });
    }
    close() {
      channels.delete(this);
    }
  });
  const leader = await run({ websocket_url: "" });
  vi.stubGlobal("navigator", { ...navigator, locks: { request: () => new Promise(() => {}) } });
  const follower = await started({ websocket_url: "" });
  follower.track("seen");
  await settle();
  expect(fetch).not.toHaveBeenCalled();
  const flushed = follower.flush(2_000);
  follower.track("just now");
  await vi.waitFor(() => expect(fetch).toHaveBeenCalledOnce());
  answer(Response.json({ results: [{ result: "accepted" }, { result: "accepted" }] }));
  expect(await flushed).toBe(true);
  expect(leader.getStats().accepted).toBe(2);
  follower.destroy();
});
