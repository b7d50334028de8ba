/** What events say of browser and device: Client Hints where there are, else the User-Agent string. */
import type { AnalyticsEvent, DeviceInfo } from "../../src/types.ts";
import { deviceIsKnown } from "./support/modules.ts";
import { expect, test, type World } from "./support/world.ts";

interface Told {
  sent: DeviceInfo | undefined;
  stored: DeviceInfo;
}

/** Says that it is this browser, tracks an event, and answers what was sent of its device and what PostgreSQL has. */
const deviceOf = async (world: World, userAgent: string, userAgentMetadata?: object): Promise<Told> => {
  const page = await world.context.newPage();
  let sent: DeviceInfo | undefined;
  page.on("websocket", (socket) =>
    socket.on("framesent", ({ payload }) => {
      const { events = [] } = JSON.parse(String(payload)) as { events?: AnalyticsEvent[] };
      sent = events[0]?.device_info ?? sent;
    }),
  );
  const devtools = await world.context.newCDPSession(page);
  await devtools.send("Emulation.setUserAgentOverride", { userAgent, ...(userAgentMetadata && { userAgentMetadata: userAgentMetadata as never }) });
  if (!userAgentMetadata) await page.addInitScript("delete Navigator.prototype.userAgentData");
  await page.goto(world.proxy.url);
  await world.begin(page);
  await deviceIsKnown(page);
  await world.track(page);
  await world.settled(page);
  await world.everyEventIsAccountedFor();
  const rows = await world.stack.ask<[string]>("SELECT device_info::text FROM analytics_events WHERE event_name = $1", world.eventName);
  return { sent, stored: JSON.parse(rows[0]![0]) as DeviceInfo };
};

const brands = (...names: [string, string][]) => names.map(([brand, version]) => ({ brand, version }));
const DETAILS = { architecture: "", model: "", bitness: "64", wow64: false };
const EDGE = { ...DETAILS, brands: brands(["Not=A?Brand", "24"], ["Chromium", "141"], ["Microsoft Edge", "142"]), platform: "Windows", platformVersion: "15.0.0", mobile: false };
const CHROME = { ...DETAILS, brands: brands(["Chromium", "141"], ["Google Chrome", "141"], ["Not_A Brand", "8"]), platform: "Android", platformVersion: "16.0.0", mobile: true };
/** A string of which nobody can tell anything. */
const SILENT = "Mozilla/5.0";
const ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36";

for (const [name, hints, expected] of [
  ["Edge on Windows 11", EDGE, { browser: "Edge", browser_version: "142", os: "Windows", os_version: "11", device_type: "desktop" }],
  ["Chrome on Android", CHROME, { browser: "Chrome", browser_version: "141", os: "Android", os_version: "16", device_type: "mobile" }],
] as const) {
  test(`Client Hints of ${name} are what is sent and stored`, async ({ world }) => {
    const { sent, stored } = await deviceOf(world, SILENT, hints);
    expect(sent).toMatchObject(expected);
    expect(stored).toMatchObject(expected);
  });
}

test("Client Hints go before the string, which has Android's version frozen at 10, on the server too", async ({ world }) => {
  const { sent, stored } = await deviceOf(world, ANDROID, CHROME);
  expect(sent).toMatchObject({ browser: "Chrome", browser_version: "141", os: "Android", os_version: "16", device_type: "mobile" });
  expect(stored).toMatchObject({ browser: "Chrome", os: "Android", os_version: "16", device_type: "mobile" });
});

test("no Client Hints: the string is read, and Edge on Android is what it says", async ({ world }) => {
  const { sent, stored } = await deviceOf(world, ANDROID.replace("Android 10; K", "Android 14; Pixel 8") + " EdgA/139.0.0.0");
  expect(sent).toMatchObject({ browser: "Edge", browser_version: "139", os: "Android", os_version: "14", device_type: "mobile" });
  expect(stored).toMatchObject({ browser: "Edge", os: "Android", os_version: "14", device_type: "mobile" });
});

test("Client Hints that refuse their details leave what the string says of the version", async ({ world, context }) => {
  await context.addInitScript("NavigatorUAData.prototype.getHighEntropyValues = () => Promise.reject(new DOMException('no', 'NotAllowedError'))");
  const { sent } = await deviceOf(world, ANDROID, { ...CHROME, brands: brands(["Chromium", "141"], ["Opera", "120"]) });
  expect(sent).toMatchObject({ browser: "Opera", browser_version: "120", os: "Android", os_version: "10", device_type: "mobile" });
});
