// @vitest-environment happy-dom
/** What a server has rendered comes alive without a mismatch. */
import type { AnalyticsEvent } from "@openbiocure/analytics";
import { act } from "react";
import { hydrateRoot } from "react-dom/client";
import { expect, test, vi } from "vitest";
import { newConfig } from "./page.tsx";
import { MARKUP, rendered } from "./rendered.tsx";

test("a rendered page is hydrated as it is, and then tracks", async () => {
  // given what a server has sent
  const element = document.body.appendChild(document.createElement("main"));
  element.innerHTML = MARKUP;
  const button = element.querySelector("button")!;
  const events: AnalyticsEvent[] = [];
  const onRecoverableError = vi.fn();
  const error = vi.spyOn(console, "error");
  // when it is hydrated and used
  const root = await act(async () => hydrateRoot(element, rendered(newConfig(events)), { onRecoverableError }));
  await act(async () => button.click());
  // then it is the same button, and both events are there
  expect(element.querySelector("button")).toBe(button);
  expect(events.map(({ event_name }) => event_name)).toEqual(["page_view", "greeted"]);
  for (const call of [onRecoverableError, error]) expect(call).not.toHaveBeenCalled();
  await act(async () => root.unmount());
});
