/** One sender among tabs, where locks and files are missing. */
import { beforeEach, expect, test, vi } from "vitest";
import { standForElection } from "../../src/tabs/leader.ts";
import { lazy, openBrowser, settle, started } from "./browser.ts";

const fallback_ = () => Promise.reject(new Error("not there"));
beforeEach(() => {
  openBrowser({ locks: undefined });
  vi.stubGlobal("fetch", () => Promise.reject(new Error("no network here")));
});

test("without locks and without the file that has the lease, every tab leads, and may stop", async () => {
  const lead = vi.fn();
  const resign = standForElection("q", fallback_, lead, vi.fn());
  await settle();
  expect(lead).toHaveBeenCalledOnce();
  expect(resign).not.toThrow();
  const client = await started({}, { fallback_ });
  expect(() => client.optOut()).not.toThrow();
  expect(() => client.destroy()).not.toThrow();
});

test("who stops before it is its turn needs no lease, and fetches no file for one", async () => {
  const request = (_name: string, { signal }: AbortController) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
  vi.stubGlobal("navigator", { locks: { request } });
  const load = vi.fn(lazy.fallback_);
  standForElection("q", load, vi.fn(), vi.fn())();
  await settle();
  expect(load).not.toHaveBeenCalled();
});
