// @vitest-environment happy-dom
/** An error while rendering is reported once, and something is shown instead. */
import type { AnalyticsEvent } from "@openbiocure/analytics";
import { act, type ReactNode, StrictMode } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import { AnalyticsErrorBoundary, AnalyticsProvider } from "../../src/index.ts";
import { newConfig, Page } from "./page.tsx";

beforeEach(() => {
  // React says on the console what it caught.
  vi.spyOn(console, "error").mockImplementation(() => {});
});

let trouble: { thrown: unknown } | undefined;

const Fragile = () => {
  if (trouble) throw trouble.thrown;
  return <p>well</p>;
};

const inProvider = (events: AnalyticsEvent[], content: ReactNode) => (
  <StrictMode>
    <AnalyticsProvider config={newConfig(events)}>{content}</AnalyticsProvider>
  </StrictMode>
);

test("the error is tracked once, with the components it came through and the boundary's context", async () => {
  // given
  const page = new Page();
  const events: AnalyticsEvent[] = [];
  trouble = { thrown: new TypeError("no price") };
  // when
  await page.show(
    inProvider(
      events,
      <AnalyticsErrorBoundary fallback={<p>sorry</p>} context={{ area: "cart" }}>
        <Fragile />
      </AnalyticsErrorBoundary>,
    ),
  );
  // then
  expect(page.element.textContent).toBe("sorry");
  expect(events).toMatchObject([
    {
      event_name: "error",
      event_category: "error",
      properties: { error_name: "TypeError", error_message: "no price", area: "cart", component_stack: expect.stringContaining("Fragile") },
    },
  ]);
  await page.close();
});

test("a fallback that is a function gets the error, and shows the children again when it is told to", async () => {
  // given a boundary with a way back
  const page = new Page();
  trouble = { thrown: new Error("out of stock") };
  await page.show(
    inProvider(
      [],
      <AnalyticsErrorBoundary fallback={({ error, reset }) => <button onClick={reset}>{(error as Error).message}</button>}>
        <Fragile />
      </AnalyticsErrorBoundary>,
    ),
  );
  expect(page.element.textContent).toBe("out of stock");
  // when the cause is gone
  trouble = undefined;
  await act(async () => page.element.querySelector("button")!.click());
  // then
  expect(page.element.textContent).toBe("well");
  await page.close();
});

test.for([undefined, null, "text", { message: 5 }, { message: null, stack: 7 }])("%j may be thrown as well", async (thrown) => {
  const page = new Page();
  const events: AnalyticsEvent[] = [];
  trouble = { thrown };
  await page.show(
    inProvider(
      events,
      <AnalyticsErrorBoundary fallback="sorry">
        <Fragile />
      </AnalyticsErrorBoundary>,
    ),
  );
  expect(page.element.textContent).toBe("sorry");
  expect(events).toHaveLength(1);
  await page.close();
});

test("without a provider the fallback is shown, and nothing is thrown", async () => {
  const page = new Page();
  trouble = { thrown: new Error("alone") };
  await page.show(
    <AnalyticsErrorBoundary fallback="sorry">
      <Fragile />
    </AnalyticsErrorBoundary>,
  );
  expect(page.element.textContent).toBe("sorry");
  await page.close();
});
