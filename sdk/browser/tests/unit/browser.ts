/** A browser's globals for unit tests: storage, a socket that is led by hand, and a client in it. */
import { IDBFactory } from "fake-indexeddb";
import { vi } from "vitest";
import { createClient } from "../../src/client.ts";
// Now: or its first loading would take a moment that `settle` does not wait for.
import "../../src/fallback/index.ts";
import type { AnalyticsClient, AnalyticsConfig, AnalyticsEvent, LazyFiles } from "../../src/types.ts";

export class FakeStorage {
  [key: string]: unknown;
  getItem(key: string): string | null {
    return Object.hasOwn(this, key) ? (this[key] as string) : null;
  }
  setItem(key: string, value: string): void {
    this[key] = String(value);
  }
  removeItem(key: string): void {
    delete this[key];
  }
}

interface EventsFrame {
  type: string;
  seq: number;
  events: AnalyticsEvent[];
}

export class FakeSocket {
  static all: FakeSocket[] = [];
  static get last(): FakeSocket {
    return FakeSocket.all.at(-1)!;
  }
  readonly frames: EventsFrame[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  closed = false;
  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }
  send(text: string): void {
    this.frames.push(JSON.parse(text) as EventsFrame);
  }
  close(): void {
    this.closed = true;
  }
  get batches(): EventsFrame[] {
    return this.frames.filter((frame) => frame.type === "events");
  }
  hear(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  ready(credits = 8): void {
    this.onopen?.();
    this.hear({ type: "ready", credits, config: { enabled: true, tracking_level: "standard", excluded_events: [], sampling_rate: 1 } });
  }
  ack(batch: EventsFrame, result = "accepted"): void {
    this.hear({ type: "ack", seq: batch.seq, credits: 8, results: batch.events.map(() => ({ result })) });
  }
}

export const lazy: LazyFiles = {
  module_: () => Promise.reject(new Error("no modules here")),
  fallback_: () => import("../../src/fallback/index.ts"),
  device_: () => import("../../src/device/index.ts"),
};

/** Fresh globals; `navigator` may be changed by the caller. */
export const openBrowser = (navigator: object = {}): { storage: FakeStorage; window: EventTarget } => {
  const storage = new FakeStorage();
  const window = new EventTarget();
  FakeSocket.all = [];
  vi.stubGlobal("document", { URL: "https://shop.example/cart?x=1", referrer: "", title: "Cart", hidden: false });
  vi.stubGlobal("location", { href: "https://shop.example/cart" });
  vi.stubGlobal("screen", { width: 1, height: 2 });
  vi.stubGlobal("innerWidth", 3);
  vi.stubGlobal("innerHeight", 4);
  vi.stubGlobal("localStorage", storage);
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("addEventListener", window.addEventListener.bind(window));
  vi.stubGlobal("BroadcastChannel", undefined);
  vi.stubGlobal("BroadcastChannel", class { postMessage() {} close() {} });
  vi.stubGlobal("navigator", { userAgent: "Mozilla/5.0 Firefox/130.0", language: "en", onLine: true, locks: freeLocks(), ...navigator });
  return { storage, window };
};

const freeLocks = () => ({
  request: (_name: string, _options: object, hold: () => Promise<void>) => Promise.resolve().then(hold),
});

export const newClient = (config: Partial<AnalyticsConfig> = {}, files: Partial<LazyFiles> = {}): AnalyticsClient =>
  createClient({ endpoint: "https://a.example/api/analytics", write_key: "wk_live_secretkey", tenant_id: "t1", ...config }, { ...lazy, ...files });

/** A client that runs. */
export const started = async (config: Partial<AnalyticsConfig> = {}, files: Partial<LazyFiles> = {}): Promise<AnalyticsClient> => {
  const client = newClient(config, files);
  await client.initialize();
  await settle();
  return client;
};

/** A page whose server takes everything: the names of what it was sent, once all is settled. */
export const delivered = async (): Promise<string[]> => {
  const client = await started();
  FakeSocket.last.ready();
  await settle();
  const names = FakeSocket.last.batches.flatMap((batch) => batch.events.map((event) => event.event_name));
  FakeSocket.last.batches.forEach((batch) => FakeSocket.last.ack(batch));
  await settle();
  client.destroy();
  await settle();
  return names;
};

/** Lets every pending promise and database call happen. */
export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
};
