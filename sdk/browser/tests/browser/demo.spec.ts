/** The demo shop that the gateway serves in development: somebody buys something. */
import type { Page } from "@playwright/test";
import { sessionEvents } from "./support/session.ts";
import { expect, test, type World } from "./support/world.ts";

const TYPED = {
  name: "Ada Typedname",
  email: "ada.typed@mail.example",
  card: "4111 1111 1111 1111",
  password: "typed-secret-4711",
  note: "ring twice, typednote",
};

const noted = async (world: World) => {
  const page = await world.context.newPage();
  const complaints: string[] = [];
  const sent: string[] = [];
  page.on("console", (message) => message.text().includes("Content Security Policy") && complaints.push(message.text()));
  page.on("request", (request) => sent.push(request.url() + (request.postData() ?? "")));
  page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(String(payload))));
  return { page, complaints, sent };
};

const buy = async (page: Page) => {
  await page.getByText("Earl Grey").click();
  await page.getByRole("button", { name: "Add to cart" }).click();
  await page.getByText("Cart (1)").click();
  await page.getByText("Check out").click();
  for (const [name, value] of Object.entries(TYPED)) await page.locator(`[name=${name}]`).fill(value);
  await page.getByRole("button", { name: "Place order" }).click();
  await expect(page.getByRole("heading")).toHaveText(`Thank you, ${TYPED.name}`);
};

const names = async (world: World, page: Page) => (await sessionEvents(world.stack, page)).map(({ event_name }) => event_name);

test("what happens in the shop is stored, and nothing that was typed", async ({ world }) => {
  // given a visitor who agrees
  const { page, complaints, sent } = await noted(world);
  await page.goto(`${world.stack.url}/demo`);
  await page.getByRole("button", { name: "Accept" }).click();
  // when the visitor buys something and meets what is broken
  await buy(page);
  await page.getByRole("button", { name: "Redeem voucher" }).click();
  await page.getByRole("button", { name: "Rate this shop" }).click();
  // then it is stored
  await expect
    .poll(() => names(world, page), { timeout: 20_000 })
    .toEqual(expect.arrayContaining(["page_view", "product_viewed", "product_added", "checkout_started", "identify", "purchase"]));
  const events = await sessionEvents(world.stack, page);
  expect(events.filter(({ event_name }) => event_name === "purchase")).toMatchObject([
    { event_category: "commerce", properties: { value: 7.9, currency: "EUR", items: 1 } },
  ]);
  // and so is what the modules saw
  await expect
    .poll(async () => (await sessionEvents(world.stack, page)).filter(({ event_name }) => event_name === "error").map(({ properties }) => properties["error_name"]))
    .toEqual(["TypeError", "RangeError"]);
  const seen = events.filter(({ event_category }) => event_category === "autocapture").map(({ properties }) => properties["element_name"]);
  expect(seen).toEqual(expect.arrayContaining(["add-to-cart", "cart-link", "to-checkout", "place-order", "order-form"]));
  expect(events.filter(({ properties }) => properties["route_change"]).map(({ properties }) => properties["page_name"])).toEqual([
    "/demo/product/earl-grey", "/demo/cart", "/demo/checkout", "/demo/thanks",
  ]);
  // and what was typed never left the page
  await page.close();
  const everything = [...sent, JSON.stringify(events)].join("\n");
  for (const value of Object.values(TYPED)) expect(everything).not.toContain(value);
  expect(complaints).toEqual([]);
});

test("before the visitor agrees nothing is sent, and nothing is stored", async ({ world }) => {
  // given a visitor who does not decide
  const { page, sent } = await noted(world);
  await page.goto(`${world.stack.url}/demo`);
  // when the visitor buys something
  await buy(page);
  // then no event left the page, nor does one when it is left
  await page.goto("about:blank");
  expect(sent.filter((one) => one.includes("/api/analytics") || one.includes('"events"'))).toEqual([]);
  await page.goto(`${world.stack.url}/demo`);
  expect(await page.evaluate(() => Object.keys(localStorage))).toEqual([]);
});

test("the shop works, and tracks, without its lazy modules", async ({ world, context }) => {
  // given an SDK whose modules are not there
  await context.route("**/demo/sdk/modules/**", (route) => route.fulfill({ status: 404 }));
  const { page } = await noted(world);
  const thrown: Error[] = [];
  page.on("pageerror", (error) => thrown.push(error));
  await page.goto(`${world.stack.url}/demo`);
  await page.getByRole("button", { name: "Accept" }).click();
  // when somebody buys something
  await buy(page);
  // then it is stored all the same
  await expect.poll(() => names(world, page), { timeout: 20_000 }).toContain("purchase");
  expect(thrown).toEqual([]);
});
