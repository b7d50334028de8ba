/** The package's entry, as a page that asks for a module that cannot be loaded. */
import { beforeEach, expect, test } from "vitest";
import { OpenBioCureAnalytics } from "../../src/index.ts";
import { openBrowser, settle } from "./browser.ts";

beforeEach(() => {
  openBrowser();
});

test("a module that is not there throws nothing into the page", async () => {
  // given a page that asks for one
  const config = { endpoint: "https://a.example/api/analytics", write_key: "wk_live_x", modules: { "not-there": true } as object };
  // when it makes a client and tracks
  const client = new OpenBioCureAnalytics(config);
  client.track("seen");
  await settle();
  // then the event is taken all the same
  expect(client.getStats().tracked).toBe(1);
  client.destroy();
});
