/** The script-tag example of docs/sdk-browser.md, as a page of a site that has copied the SDK's files. */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { sessionEvents } from "./support/session.ts";
import { expect, test } from "./support/world.ts";

const documentation = readFileSync(new URL("../../../../docs/sdk-browser.md", import.meta.url), "utf8");
const dist = new URL("../../dist/", import.meta.url);

test("the script-tag example works as it is written", async ({ world, context }) => {
  // given the example, with a real address and key, on a site of its own
  const [, section] = documentation.split("### Script tag");
  const [, example] = /```html\n([^]*?)```/.exec(section!)!;
  const html = example!.replace("https://analytics.example", world.stack.url).replace("wk_live_...", world.stack.writeKey);
  const site = createServer(({ url }, response) => {
    if (url === "/") return response.writeHead(200, { "Content-Type": "text/html" }).end(html);
    try {
      const file = readFileSync(new URL(url!.replace(/^\/sdk\//, ""), dist));
      response.writeHead(200, { "Content-Type": "text/javascript" }).end(file);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => site.listen(0, "localhost", resolve));
  try {
    // when somebody opens it and buys something
    const page = await context.newPage();
    await page.goto(`http://localhost:${(site.address() as { port: number }).port}/`);
    await page.getByRole("button", { name: "Buy" }).click();
    // then both events are stored
    await expect
      .poll(async () => (await sessionEvents(world.stack, page)).filter(({ event_category }) => event_category !== "autocapture"), { timeout: 20_000 })
      .toMatchObject([
        { event_name: "page_view", properties: { page_name: "home", page_title: "My shop" } },
        { event_name: "purchase", event_category: "commerce", properties: { value: 12.5, currency: "EUR" } },
      ]);
  } finally {
    site.closeAllConnections();
    site.close();
  }
});
