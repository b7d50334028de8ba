/** A React page in development, where every effect runs twice, against the real stack. */
import { build } from "esbuild";
import type { AnalyticsClient } from "@openbiocure/analytics";
import { sessionEvents } from "../../../browser/tests/browser/support/session.ts";
import { expect, test } from "../../../browser/tests/browser/support/world.ts";

const bundled = async (): Promise<string> => {
  const { outputFiles } = await build({
    entryPoints: [new URL("shop.tsx", import.meta.url).pathname],
    bundle: true,
    write: false,
    format: "iife",
    jsx: "automatic",
    jsxDev: true,
    define: { "process.env.NODE_ENV": '"development"' },
  });
  return outputFiles[0]!.text;
};

test("a page view and an error of a React page arrive exactly once under StrictMode", async ({ world, context }) => {
  // given a page that the development build of React renders under StrictMode
  const content = await bundled();
  const page = await context.newPage();
  let sockets = 0;
  page.on("websocket", () => sockets++);
  // when it is opened
  const query = new URLSearchParams({ endpoint: `${world.proxy.url}/api/analytics`, write_key: world.stack.writeKey });
  await page.goto(`${world.proxy.url}/?${query}`);
  await page.addScriptTag({ content });
  await expect(page.getByText("Sorry")).toBeVisible();
  // then both events are stored, once, and they came over one connection
  const settled = () => page.evaluate(() => (globalThis as unknown as { client: AnalyticsClient }).client.getStats());
  await expect.poll(settled).toMatchObject({ tracked: 2, accepted: 2, storageStats: { eventCount: 0 } });
  expect(sockets).toBe(1);
  const stored = await sessionEvents(world.stack, page);
  expect(stored.sort((one, other) => one.event_name.localeCompare(other.event_name))).toMatchObject([
    { event_name: "error", properties: { error_name: "TypeError", area: "prices", component_stack: expect.stringContaining("Broken") } },
    { event_name: "page_view", properties: { page_name: "react shop", items: 3 } },
  ]);
});
