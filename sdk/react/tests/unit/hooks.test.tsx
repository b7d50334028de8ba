// @vitest-environment happy-dom
/** The hooks, in a real React tree. */
import type { AnalyticsEvent } from "@openbiocure/analytics";
import { act, type ReactNode, StrictMode } from "react";
import { expect, test, vi } from "vitest";
import { AnalyticsProvider, type EventTracking, useAnalytics, useEventTracking, usePageTracking } from "../../src/index.ts";
import { newConfig, Page } from "./page.tsx";

const Shown = ({ name, properties }: { name: string; properties?: object }) => {
  usePageTracking(name, { ...properties });
  return <h1>{name}</h1>;
};

const inProvider = (events: AnalyticsEvent[], content: ReactNode) => (
  <StrictMode>
    <AnalyticsProvider config={newConfig(events)}>{content}</AnalyticsProvider>
  </StrictMode>
);

const pageNames = (events: AnalyticsEvent[]) => events.map(({ properties }) => properties["page_name"]);

test("a page is one view, however often it is rendered", async () => {
  // given a page under StrictMode, whose properties are a new object at every render
  const page = new Page();
  const events: AnalyticsEvent[] = [];
  await page.show(inProvider(events, <Shown name="cart" properties={{ items: 2 }} />));
  // when it is rendered again
  await page.show(inProvider(events, <Shown name="cart" properties={{ items: 3 }} />));
  // then
  expect(events).toMatchObject([
    { event_name: "page_view", event_category: "navigation", properties: { page_name: "cart", items: 2 } },
  ]);
  await page.close();
});

test("another name is another view, and so is coming back", async () => {
  const page = new Page();
  const events: AnalyticsEvent[] = [];
  await page.show(inProvider(events, <Shown name="cart" />));
  await page.show(inProvider(events, <Shown name="checkout" />));
  await page.show(inProvider(events, null));
  await page.show(inProvider(events, <Shown name="cart" />));
  expect(pageNames(events)).toEqual(["cart", "checkout", "cart"]);
  await page.close();
});

test("trackEvent and trackAction stay the same functions and track what they are told", async () => {
  // given a component with a button
  const page = new Page();
  const events: AnalyticsEvent[] = [];
  const seen = new Set<EventTracking>();
  const Buy = () => {
    const tracking = useEventTracking();
    seen.add(tracking);
    const { trackEvent, trackAction } = tracking;
    return (
      <button
        onClick={() => {
          trackAction("click", "button", "buy", { area: "cart" });
          trackEvent("project_created", { type: "x" }, "project_management");
          trackEvent("plain");
        }}
      />
    );
  };
  // when it is rendered twice and clicked once
  await page.show(inProvider(events, <Buy />));
  await page.show(inProvider(events, <Buy />));
  await act(async () => page.element.querySelector("button")!.click());
  // then
  expect(events).toMatchObject([
    {
      event_name: "user_action",
      event_category: "interaction",
      properties: { action_name: "click", element_type: "button", element_id: "buy", area: "cart" },
    },
    { event_name: "project_created", event_category: "project_management", properties: { type: "x" } },
    { event_name: "plain", event_category: "general" },
  ]);
  expect(seen.size).toBe(1);
  await page.close();
});

test("without a provider the hooks say what is missing", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const Lost = () => {
    useAnalytics();
    return null;
  };
  await expect(new Page().show(<Lost />)).rejects.toThrow("useAnalytics must be used within AnalyticsProvider");
});
