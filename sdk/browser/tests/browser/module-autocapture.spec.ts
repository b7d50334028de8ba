/** The module `autocapture`: what visitors do arrives; what they type never does. */
import type { Page } from "@playwright/test";
import { arrived, call, openWith, propertiesOf } from "./support/modules.ts";
import { expect, test } from "./support/world.ts";

const QUIET = { dead_clicks: false, rage_clicks: false } as const;

test("clicks arrive with what was clicked", async ({ world }) => {
  const page = await openWith(
    world,
    { autocapture: QUIET },
    `<main id="shop"><button id="buy" role="button">  Buy <b>now</b> </button>
     <a href="/help?user=ann#top" onclick="return false">Help</a> <a href="mailto:ann@shop.example" onclick="return false">Write</a>
     <button id="icon" aria-label="Close">×</button> <p id="text">Words</p> <div id="card" style="cursor: pointer"><i>Card of Ann</i></div>
     <label id="label">Agree <input type="checkbox" id="agree"></label></main>`,
  );
  for (const selector of ["#buy b", "a >> nth=0", "a >> nth=1", "#text", "#card i", "#label"]) await page.click(selector);
  await page.evaluate(() => document.querySelector<HTMLElement>("#buy")!.click()); // nobody's click
  const events = (await arrived(world, page)).filter(({ name }) => name === "user_action");
  expect(events.every(({ category }) => category === "autocapture")).toBe(true);
  const found = events.map(({ properties }) => properties);
  expect(found).toMatchObject([
    { action_name: "click", element_type: "button", element_id: "buy", element_text: "Buy now", element_role: "button", element_path: "html > body > main#shop > button#buy" },
    { element_type: "a", element_text: "Help", element_href: "/help" },
    { element_type: "a", element_text: "Write", element_href: "mailto:" },
    { element_type: "div", element_id: "card" },
    { element_type: "input:checkbox", element_id: "agree" },
  ]);
  expect(found).toHaveLength(5);
  expect(found[3]).not.toHaveProperty("element_text");
  expect(JSON.stringify(found)).not.toMatch(/user=ann|ann@|Card of Ann|Agree/);
});

test("nothing that is typed is in any event of any module", async ({ world }) => {
  const secret = `hush${world.eventName.slice(2).replace(/\d/g, "q")}`;
  const page = await openWith(
    world,
    { autocapture: { changes: true }, errors: { resources: true }, engagement: true, "web-vitals": true },
    `<form id="pay" novalidate onsubmit="return false">
       <input type="password" id="pin" name="pin-name" data-obc-name="pin-label"> <input id="plain" name="plain"> <textarea id="note"></textarea>
       <input id="card" name="card-name" autocomplete="section-a cc-number"> <input type="search" id="q"> <input type="email" id="mail">
       <select id="pick"><option>-</option><option>${secret}</option></select>
       <div id="rich" contenteditable><button id="inside" contenteditable="false" onclick="void 0">in</button><a href="#" id="link"></a></div>
       <div role="textbox" id="custom" tabindex="0"><button id="in-custom">${secret}</button></div>
       <button id="send">Send</button></form>`,
  );
  // given fields of every kind with the secret in them
  for (const id of ["pin", "plain", "note", "card", "q", "mail"]) await page.locator(`#${id}`).pressSequentially(secret);
  await page.selectOption("#pick", secret);
  await page.evaluate((text) => {
    document.querySelector("#link")!.textContent = text;
    document.querySelector("#rich")!.append(text);
  }, secret);
  await page.focus("#rich");
  await page.keyboard.type(secret);
  // when they are clicked, changed and sent, and the page is left by route
  for (const id of ["pin", "plain", "note", "card", "q", "pick", "rich", "inside", "link", "in-custom"]) {
    for (let n = 0; n < 3; n++) await page.locator(`#${id}`).click({ force: true });
  }
  await page.click("#send");
  await page.press("#plain", "Enter");
  await page.evaluate(() => history.pushState({}, "", "/thanks"));
  await call(page, "destroy");
  await call(page, "initialize");
  const events = await arrived(world, page);
  // then all of it was seen, and the secret is nowhere
  const actions = propertiesOf(events, "user_action");
  expect(actions.map((one) => one["action_name"])).toEqual(expect.arrayContaining(["click", "change", "submit"]));
  for (const type of ["input:password", "input:text", "input:search", "textarea", "select", "div", "form"]) {
    expect(actions.map((one) => one["element_type"])).toContain(type);
  }
  expect(events.map(({ name }) => name)).toEqual(expect.arrayContaining(["engagement", "page_view", "performance_metric"]));
  expect(await world.stack.mentions(world.eventName)).toBeGreaterThan(0);
  expect(await world.stack.mentions(secret)).toBe(0);
  // and of passwords and cards not even the names
  const passwords = actions.filter((one) => one["element_type"] === "input:password");
  expect(passwords.length).toBeGreaterThan(0);
  for (const password of passwords) expect(password).toEqual({ action_name: password["action_name"], element_type: "input:password", element_id: "" });
  expect(JSON.stringify(events)).not.toMatch(/pin-|card-name|#card|#pin/);
});

test("text that looks like an address or a number is left out, and long text is cut", async ({ world }) => {
  const page = await openWith(
    world,
    { autocapture: { ...QUIET, text_length: 10 } },
    `<button>Mail ann@shop.example</button><button>Card 4111 1111 1111 1111</button><button>A very long label</button><button id="ann@shop.example">ok</button>`,
  );
  for (let n = 0; n < 4; n++) await page.locator("button").nth(n).click();
  const found = propertiesOf(await arrived(world, page), "user_action");
  expect(found.map((one) => one["element_text"])).toEqual(["[redacted]", "[redacted]", "A very lon…", "ok"]);
  expect(found[3]).toMatchObject({ element_id: "", element_path: "html > body > button" });
});

test("data-obc-* attributes name, mask, ignore and add properties", async ({ world }) => {
  const page = await openWith(
    world,
    { autocapture: true },
    `<section data-obc-prop-list="offers" data-obc-prop-plan="free">
       <button id="b1" data-obc-name="buy offer" data-obc-prop-plan="pro" data-obc-prop-action_name="mine">Buy</button>
       <button id="b2" data-obc-mask>Ann</button> <div data-obc-mask><button id="b3">Bob</button></div>
       <button id="b4">Call <span data-obc-mask>Cid</span> now <i data-obc-ignore>Dan</i></button>
       <p id="p" data-obc-name="the text">Words</p></section>
     <div data-obc-ignore><button id="b5">Eve</button><form onsubmit="return false"><button id="b6">Fay</button></form></div>`,
  );
  for (const id of ["b1", "b2", "b3", "b4", "p", "b5", "b5", "b5", "b6"]) await page.click(`#${id}`);
  const events = await arrived(world, page);
  expect(events.map(({ name }) => name)).toEqual(Array.from({ length: 5 }, () => "user_action"));
  expect(propertiesOf(events, "user_action")).toMatchObject([
    { element_id: "buy offer", element_name: "buy offer", element_text: "Buy", plan: "pro", list: "offers", action_name: "click" },
    { element_id: "b2", element_text: "[masked]", plan: "free" },
    { element_id: "b3", element_text: "[masked]" },
    { element_id: "b4", element_text: "Call [masked] now" },
    { element_id: "the text", element_type: "p" },
  ]);
  expect(JSON.stringify(events)).not.toMatch(/Ann|Bob|Cid|Dan|Eve|Fay|b5|b6/);
});

test("forms: submits arrive, changes only when asked for", async ({ world }) => {
  const form = `<form id="signup" onsubmit="return false"><input name="id" id="who"><input type="checkbox" id="terms"><button id="go">Go</button></form>`;
  for (const changes of [false, true]) {
    const page = await openWith(world, { autocapture: { ...QUIET, clicks: false, changes } }, form);
    await page.fill("#who", "Ann");
    await page.check("#terms");
    await page.click("#go");
    await arrived(world, page);
    await page.close();
  }
  const found = propertiesOf(await world.stack.storedOf(world.eventName), "user_action");
  expect(found.map((one) => [one["action_name"], one["element_type"], one["element_id"]])).toEqual([
    ["submit", "form", "signup"],
    ["change", "input:text", "who"], ["change", "input:checkbox", "terms"], ["submit", "form", "signup"],
  ]);
});

test("in shadow roots, clicks, submits and changes are seen, and texts are read through slots", async ({ world }) => {
  const page = await openWith(world, { autocapture: { ...QUIET, changes: true } }, `<shop-card id="host">Buy <em>it</em></shop-card>`);
  await page.evaluate(() => {
    const root = document.querySelector("#host")!.attachShadow({ mode: "open" });
    root.innerHTML = `<button id="deep"><slot></slot></button><form id="inner" onsubmit="return false"><input id="field"><button id="ok">OK</button></form>`;
  });
  await page.click("#deep");
  await page.fill("#field", "Ann");
  await page.click("#ok");
  const found = propertiesOf(await arrived(world, page), "user_action").sort((a, b) => String(a["element_id"]).localeCompare(String(b["element_id"])));
  expect(found).toMatchObject([
    { action_name: "click", element_type: "button", element_id: "deep", element_text: "Buy it" },
    { action_name: "change", element_id: "field" },
    { action_name: "submit", element_id: "inner" },
    { action_name: "click", element_id: "ok" },
  ]);
  expect(JSON.stringify(found)).not.toContain("Ann");
});

test("three quick clicks at one spot are one rage click", async ({ world }) => {
  const page = await openWith(world, { autocapture: { clicks: false, dead_clicks: false } }, `<button id="stuck">Stuck</button><p id="words">Some words to select</p>`);
  await page.click("#stuck", { clickCount: 5 });
  await page.click("#words", { clickCount: 3 }); // selects them
  const events = await arrived(world, page);
  expect(events).toMatchObject([{ name: "rage_click", category: "autocapture", properties: { element_id: "stuck", element_text: "Stuck", clicks: 3 } }]);
});

/** Waits until the click that was made has been judged, on the page's own clock. */
const judge = (page: Page) => page.clock.fastForward(2_600);

test("a click after which nothing changes is a dead click", async ({ world }) => {
  await world.context.clock.install();
  const page = await openWith(
    world,
    { autocapture: { clicks: false, rage_clicks: false, scroll: false, routes: false } },
    `<div style="height: 3000px"><button id="nothing">Nothing</button> <a id="hash" href="#">No way</a>
     <button id="change" onclick="this.className = 'done'">Change</button>
     <button id="later" onclick="setTimeout(() => this.append('!'), 1000)">Later</button>
     <button id="route" onclick="history.pushState({}, '', '/next')">Route</button>
     <button id="scroll" onclick="window.scrollBy(0, 50)">Scroll</button>
     <a id="target" href="about:blank" target="other">Other</a>
     <input id="field"> <select id="select"><option>1</option></select> <input type="checkbox" id="check">
     <p id="words">Words</p></div>`,
  );
  const dead = async () => propertiesOf(await arrived(world, page), "dead_click").map((one) => one["element_id"]);
  for (const id of ["change", "route", "field", "select", "check", "words"]) {
    await page.click(`#${id}`);
    await page.keyboard.press("Escape");
    await judge(page);
  }
  await page.click("#later");
  await page.clock.fastForward(1_100);
  await judge(page);
  await page.evaluate(() => scrollTo(0, 0));
  await page.click("#scroll");
  await expect.poll(() => page.evaluate(() => scrollY)).toBeGreaterThan(0);
  await judge(page);
  expect(await dead()).toEqual([]);
  await page.evaluate(() => new Promise((resolve) => {
    addEventListener("scroll", resolve, { once: true });
    scrollTo(0, 0);
  }));
  // The link leads to another URL once only.
  for (const id of ["hash", "nothing", "hash"]) {
    await page.click(`#${id}`);
    await judge(page);
  }
  // Clicked again before it is judged: one dead click.
  await page.click("#nothing");
  await page.click("#nothing");
  await judge(page);
  expect((await dead()).sort()).toEqual(["hash", "nothing", "nothing"]);
});

test("routes of a single-page app are page views, one for every other URL", async ({ world }) => {
  const page = await openWith(world, { autocapture: { scroll: false } });
  const url = world.proxy.url;
  const viewed = async (count: number) => expect.poll(async () => (await world.stats(page)).tracked).toBe(count);
  await page.evaluate(() => {
    history.pushState({}, "", "/cart");
    document.title = "Your cart";
  });
  await viewed(1);
  await page.evaluate(() => {
    history.pushState({}, "", "/cart");
    history.replaceState({ other: "state" }, "");
    history.pushState({}, "", "/redirect");
    history.replaceState({}, "", "/pay");
  });
  await viewed(2);
  await page.evaluate(() => (location.hash = "step-2"));
  await viewed(3);
  await page.goBack();
  await viewed(4);
  await page.evaluate(() => {
    try {
      history.pushState({}, "", "https://elsewhere.example/");
    } catch {
      // as without us
    }
  });
  const events = (await arrived(world, page)).filter(({ name }) => name === "page_view");
  expect(events.every(({ category }) => category === "navigation")).toBe(true);
  expect(events.map(({ url }) => url)).toEqual([`${url}/cart`, `${url}/pay`, `${url}/pay#step-2`, `${url}/pay`]);
  expect(events.map(({ properties }) => properties)).toMatchObject([
    { page_name: "/cart", page_title: "Your cart", page_url: `${url}/cart`, referrer: `${url}/`, route_change: true },
    { page_name: "/pay", referrer: `${url}/cart` },
    { page_name: "/pay" },
    { page_name: "/pay", referrer: `${url}/pay#step-2` },
  ]);
});

test("scroll depth is told at each quarter, once per page view", async ({ world }) => {
  const page = await openWith(world, { autocapture: { routes: false } }, `<div style="height: 8000px"></div>`);
  const scrollTo = async (share: number, tracked: number) => {
    await page.evaluate((to) => scrollTo(0, to * document.documentElement.scrollHeight - innerHeight), share);
    await expect.poll(async () => (await world.stats(page)).tracked).toBe(tracked);
  };
  await scrollTo(0.3, 1);
  await scrollTo(0.8, 3);
  await scrollTo(0.4, 3);
  await scrollTo(1, 4);
  await page.evaluate(() => history.pushState({}, "", "/next"));
  await scrollTo(0.6, 6);
  const events = (await arrived(world, page)).filter(({ name }) => name === "scroll_depth");
  expect(events.map(({ properties }) => properties["depth"] as number).sort((a, b) => a - b)).toEqual([25, 25, 50, 50, 75, 100]);
  expect(events.every(({ category }) => category === "autocapture")).toBe(true);
});
