// @vitest-environment node
/** Rendering on a server: no document, no window, and nothing happens. */
import type { AnalyticsEvent } from "@openbiocure/analytics";
import { readFileSync } from "node:fs";
import { renderToString } from "react-dom/server";
import { expect, test, vi } from "vitest";
import { newConfig } from "./page.tsx";
import { MARKUP, rendered } from "./rendered.tsx";

test("a page is rendered, and nothing is tracked, stored, requested or complained about", () => {
  // given a server
  expect(typeof document + typeof window + typeof localStorage).toBe("undefinedundefinedundefined");
  const events: AnalyticsEvent[] = [];
  const fetch = vi.fn();
  const warn = vi.spyOn(console, "warn");
  const error = vi.spyOn(console, "error");
  vi.stubGlobal("fetch", fetch);
  // when
  const markup = renderToString(rendered(newConfig(events, { enable_debug: true })));
  // then
  expect(markup).toBe(MARKUP);
  expect(events).toEqual([]);
  for (const call of [fetch, warn, error]) expect(call).not.toHaveBeenCalled();
});

test.for(["index.js", "index.cjs"])("dist/%s says that it is for the client", (name) => {
  const built = readFileSync(new URL(`../../dist/${name}`, import.meta.url), "utf8");
  expect(built).toMatch(/^"use client";/);
});
