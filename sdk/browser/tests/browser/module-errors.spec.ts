/** The module `errors`: what nobody caught arrives, grouped and capped. */
import { arrived, arrivedLater, openWith, propertiesOf } from "./support/modules.ts";
import { expect, test } from "./support/world.ts";

test("an error and a rejection that nobody caught arrive with where they were thrown", async ({ world, context }) => {
  const script = "function buy() { throw new TypeError('item 17 is gone') }\nbuy()";
  await context.route("**/shop.js?*", (route) => route.fulfill({ contentType: "text/javascript", body: script }));
  const page = await openWith(world, { errors: true });
  await page.addScriptTag({ url: "/shop.js?token=1" });
  await page.addScriptTag({ content: "Promise.reject(new RangeError('too far'))" });
  await expect.poll(async () => (await world.stats(page)).tracked).toBe(2);
  const events = await arrived(world, page);
  expect(events.map(({ name, category }) => [name, category])).toEqual([["error", "error"], ["error", "error"]]);
  const [rejection, error] = propertiesOf(events, "error").sort((a, b) => String(a["error_name"]).localeCompare(String(b["error_name"])));
  expect(rejection).toMatchObject({ error_name: "RangeError", error_message: "too far", handled: false, unhandled_rejection: true, occurrences: 1 });
  expect(error).toMatchObject({ error_name: "TypeError", error_message: "item 17 is gone", handled: false, line: 1, source: `${world.proxy.url}/shop.js` });
  expect(error!["error_stack"]).toContain("buy");
  expect(error!["group"]).not.toBe(rejection!["group"]);
});

test("anything may be thrown", async ({ world }) => {
  const page = await openWith(world, { errors: true });
  await page.addScriptTag({
    content: `for (const thrown of ["words", 7, null, undefined, { code: 4, secret: "hidden" }, Object.create(null), new DOMException("no", "AbortError"),
      new Proxy({}, { get() { throw new Error("trap") } })]) Promise.reject(thrown)`,
  });
  await expect.poll(async () => (await world.stats(page)).tracked).toBe(7);
  const messages = propertiesOf(await arrived(world, page), "error").map((properties) => properties["error_message"]);
  expect(messages.sort()).toEqual(["7", "an object with code, secret", "an object with no keys", "no", "null", "undefined", "words"]);
});

test("a loop of errors is capped, and what is above is summed up when the page is left", async ({ world }) => {
  // given caps of 3 per group and 5 per page
  const page = await openWith(world, { errors: { per_group: 3, per_page: 5, ignore: ["not this", /^RangeError: nor that/] } });
  // when 20 errors of one kind come, then 4 of others, then some that are ignored
  await page.evaluate(() => {
    const fail = (message: string, kind = Error) => {
      const error = new kind(message);
      dispatchEvent(new ErrorEvent("error", { message, filename: "https://shop.example/a.js?token=1", error }));
    };
    for (let n = 0; n < 20; n++) fail(`item ${n} is gone`);
    for (const letters of ["aa", "bb", "cc", "dd"]) fail(letters);
    fail("not this");
    fail("nor that", RangeError);
    fail("ResizeObserver loop completed with undelivered notifications.");
  });
  const reported = propertiesOf(await arrived(world, page), "error");
  expect(reported.map(({ error_message, occurrences }) => `${error_message} ${occurrences}`).sort()).toEqual([
    "aa 1", "bb 1", "item 0 is gone 1", "item 1 is gone 2", "item 2 is gone 3",
  ]);
  expect(new Set(reported.map(({ group }) => group)).size).toBe(3);
  expect(reported[0]).toMatchObject({ source: "https://shop.example/a.js" });
  // then the other 19 are counted
  await page.goto("about:blank");
  const [summary] = await arrivedLater(world, "errors_suppressed", 1);
  expect(summary).toMatchObject({ category: "diagnostics", properties: { suppressed: 19 } });
  expect(Object.values(summary!.properties["groups"] as object).sort()).toEqual([1, 1, 17]);
});

test("of foreign scripts, one `Script error.` is enough", async ({ world, context }) => {
  await context.route("https://foreign.example/*", (route) => route.fulfill({ contentType: "text/javascript", body: "throw new Error('hidden')" }));
  const page = await openWith(world, { errors: true });
  for (let n = 0; n < 3; n++) await page.addScriptTag({ url: "https://foreign.example/a.js" });
  const reported = propertiesOf(await arrived(world, page), "error");
  expect(reported).toMatchObject([{ error_name: "ScriptError", foreign: true, handled: false }]);
  expect(JSON.stringify(reported)).not.toContain("hidden");
});

for (const resources of [true, false]) {
  test(`a file that could not be loaded is ${resources ? "reported" : "not reported unless asked for"}`, async ({ world }) => {
    const page = await openWith(world, { errors: { resources } });
    await page.evaluate(
      () =>
        new Promise((resolve) => {
          const image = document.body.appendChild(new Image());
          image.onerror = resolve;
          image.src = "/missing.png?user=ann";
        }),
    );
    const expected = [{ error_name: "ResourceError", source: `${world.proxy.url}/missing.png`, element_type: "img" }];
    expect(propertiesOf(await arrived(world, page), "error")).toMatchObject(resources ? expected : []);
  });
}

test("an error in what handles losses is not reported for ever", async ({ world, context }) => {
  const page = await context.newPage();
  await page.goto(world.proxy.url);
  const losses = await page.evaluate(async (config) => {
    let count = 0;
    const { OpenBioCureAnalytics } = globalThis as unknown as { OpenBioCureAnalytics: new (config: object) => { initialize(): Promise<void> } };
    await new OpenBioCureAnalytics({
      ...config,
      before_send: () => null,
      on_loss() {
        count++;
        throw new Error("in on_loss");
      },
    }).initialize();
    const turn = () => new Promise((resolve) => setTimeout(resolve));
    await import("/dist/modules/errors.js" as string);
    await turn();
    dispatchEvent(new ErrorEvent("error", { message: "first", filename: "a.js", error: new Error("first") }));
    for (let turns = 0; turns < 5; turns++) await turn();
    return count;
  }, { endpoint: `${world.proxy.url}/api/analytics`, write_key: world.stack.writeKey, modules: { errors: true } });
  // A loss is told once, whatever comes of it.
  expect(losses).toBe(1);
});
