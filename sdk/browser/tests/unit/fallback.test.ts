/** What only some pages need: the lease, the store in localStorage, and the tracking level minimal. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { drain } from "../../src/fallback/drain.ts";
import { holdLease } from "../../src/fallback/lease.ts";
import { openLocalStorage } from "../../src/fallback/local-store.ts";
import { strip } from "../../src/fallback/minimal.ts";
import { encode, type Entry } from "../../src/queue/entry.ts";
import type { Store } from "../../src/queue/store.ts";
import type { AnalyticsEvent } from "../../src/types.ts";
import { type FakeStorage, openBrowser } from "./browser.ts";

let storage: FakeStorage;
beforeEach(() => ({ storage } = openBrowser()));

describe("the lease", () => {
  const ends: (() => void)[] = [];
  const roles: Record<string, string> = {};
  const stand = (tab: string) => {
    roles[tab] = "waits";
    const end = holdLease("q_", () => (roles[tab] = "leads"), () => (roles[tab] = "follows"));
    ends.push(end);
    return end;
  };
  const pass = (seconds: number) => vi.advanceTimersByTime(seconds * 1_000);
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    ends.splice(0).forEach((end) => end());
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  test("one tab has it, and keeps it", () => {
    stand("a");
    stand("b");
    pass(4);
    expect(roles).toMatchObject({ a: "leads", b: "waits" });
    pass(600);
    expect(roles).toMatchObject({ a: "leads", b: "waits" });
  });

  test("who ends gives it away at once, who vanishes within seconds", () => {
    const end = stand("a");
    pass(4);
    stand("b");
    end();
    pass(4);
    expect(roles["b"]).toBe("leads");
    // a tab that took the lease a moment ago and is gone
    ends.splice(0).forEach((one) => one());
    storage.setItem("q_lease", `gone ${Date.now() + 6_000}`);
    stand("c");
    pass(4);
    expect(roles["c"]).toBe("waits");
    pass(6);
    expect(roles["c"]).toBe("leads");
  });

  test("one that ends in the far future was taken before the clock was set back, and holds nobody", () => {
    storage.setItem("q_lease", `gone ${Date.now() + 3_600_000}`);
    stand("a");
    pass(4);
    expect(roles["a"]).toBe("leads");
  });

  test("where nothing can be written, everyone leads: nobody else would send what a tab has", () => {
    vi.spyOn(storage, "setItem").mockImplementation(() => {
      throw new Error("full");
    });
    stand("a");
    pass(2);
    expect(roles["a"]).toBe("leads");
  });
});

describe("the store in localStorage", () => {
  const entry = (id: string) => encode({ event_id: id, event_name: "x", timestamp: 1 } as AnalyticsEvent, 1);

  test("gives back what it was given, in order, and only its own", async () => {
    const [one, other] = [await openLocalStorage("q"), await openLocalStorage("r")];
    await one.add_([entry("2"), entry("1")]);
    await other.add_([entry("3")]);
    expect(await one.load_()).toEqual([entry("1"), entry("2")]);
    await one.remove_(["1", "unknown"]);
    one.clear_(one.keys_());
    expect(await one.load_()).toEqual([]);
    expect(await other.load_()).toEqual([entry("3")]);
  });

  test("names what cannot be read, so that it can be removed", async () => {
    const store = await openLocalStorage("q");
    storage.setItem("q:bad", "{");
    storage.setItem("q:null", "null");
    expect(await store.load_()).toEqual([{ i: "bad" }, {}]);
  });

  test("what another tab adds while events move into IndexedDB stays", async () => {
    const local = await openLocalStorage("q");
    await local.add_([entry("1")]);
    const moved: Entry[] = [];
    await drain("q", {
      async add_(entries) {
        moved.push(...entries);
        await local.add_([entry("2")]);
      },
    } as Store);
    expect(moved).toEqual([entry("1")]);
    expect(await local.load_()).toEqual([entry("2")]);
    await drain("q", { add_: async () => {} } as unknown as Store);
    expect(Object.keys(storage)).toEqual([]);
  });

  test("leaves no trace where nothing was stored", async () => {
    await openLocalStorage("q");
    expect(Object.keys(storage)).toEqual([]);
  });

  test("says at once that nothing can be stored", async () => {
    vi.spyOn(storage, "setItem").mockImplementation(() => {
      throw new Error("full");
    });
    await expect(openLocalStorage("q")).rejects.toThrow("full");
  });
});

describe("tracking level minimal", () => {
  const event: AnalyticsEvent = {
    event_id: "e", event_name: "n", event_category: "c", timestamp: 1, properties: { secret: 1 }, user_id: "u", anonymous_id: "a", session_id: "s",
    page_url: "https://shop.example/cart?coupon=1#x", referrer: "r", user_agent: "ua", device_info: { device_type: "mobile", os: "iOS" },
  };
  const rules = { enabled: true, tracking_level: "minimal", excluded_events: [], sampling_rate: 1 } as const;

  test("keeps id, name, category, times, session, path and kind of device", () => {
    expect(strip(event, { ...rules, excluded_events: [] })).toEqual({
      event_id: "e", event_name: "n", event_category: "c", timestamp: 1, properties: {}, session_id: "s", page_url: "/cart", device_info: { device_type: "mobile" },
    });
  });

  test("keeps ids as well while the server draws a sample by them", () => {
    expect(strip(event, { ...rules, excluded_events: [], sampling_rate: 0.5 })).toMatchObject({ user_id: "u", anonymous_id: "a" });
  });

  test("an address that before_send has shortened is still one", () => {
    expect(strip({ ...event, page_url: "/cart?coupon=1" }, { ...rules, excluded_events: [] }).page_url).toBe("/cart");
  });

  test("a worker has no page and no kind of device", () => {
    const { page_url: _, device_info: __, ...bare } = event;
    expect(strip(bare, { ...rules, excluded_events: [] })).toMatchObject({ properties: {}, device_info: {} });
  });
});
