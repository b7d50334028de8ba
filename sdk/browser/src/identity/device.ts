/** What the browser says of itself: User-Agent Client Hints where there are some, else the User-Agent string. */
import type { DeviceInfo } from "../types.ts";

interface ClientHints {
  brands: { brand: string; version: string }[];
  mobile: boolean;
  platform: string;
  getHighEntropyValues?(names: string[]): Promise<{ platformVersion?: string }>;
}

/** Name and pattern, the version follows. Order matters: every browser claims to be those that come after it. */
const BROWSERS =
  "Edge~Edg(?:e|A|iOS)?/;Opera~OPR/;Samsung Internet~SamsungBrowser/;Firefox~(?:Firefox|FxiOS)/;Chrome~(?:Chrome|CriOS)/;Safari~Version/";
const SYSTEMS =
  "Windows~Windows NT ;iOS~iP(?:hone|ad|od).*? OS ;Android~Android ;ChromeOS~CrOS \\w+ ;macOS~Mac OS X ;Linux~Linux";

const find = (table: string): string[] => {
  for (const line of table.split(";")) {
    const [name, pattern] = line.split("~") as [string, string];
    const match = RegExp(pattern + "([\\d._]*)").exec(navigator.userAgent);
    if (match) return [name, match[1]!.replace(/_/g, ".")];
  }
  return [];
};

/** The part that does not change while the page lives; the system's version may follow a moment later. */
export const readDevice = (): DeviceInfo => {
  const { userAgent, maxTouchPoints, language } = navigator;
  const hints = (navigator as { userAgentData?: ClientHints }).userAgentData;
  let [browser, browser_version] = find(BROWSERS);
  let [os, os_version] = find(SYSTEMS);
  let tablet = /iPad|Tablet/.test(userAgent) || (os === "Android" && !/Mobile/.test(userAgent));
  if (os === "macOS" && maxTouchPoints > 1) {
    // An iPad says that it is a Mac, and freezes the version it says.
    [os, os_version, tablet] = ["iOS", "", true];
  }
  const brand = hints?.brands.find((one) => !/Not.A|Chromium/.test(one.brand));
  if (brand) {
    browser = brand.brand.replace(/Google |Microsoft /, "");
    browser_version = brand.version;
  }
  const device = {
    browser,
    browser_version: browser_version?.split(".")[0],
    os: hints?.platform.replace(/^Chrom.*/, "ChromeOS") || os,
    os_version,
    device_type: tablet ? "tablet" : (hints?.mobile ?? /Mobi/.test(userAgent)) ? "mobile" : "desktop",
    language,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  } as DeviceInfo;
  hints?.getHighEntropyValues?.(["platformVersion"]).then(
    ({ platformVersion }) => (device.os_version = platformVersion || os_version!),
    () => {},
  );
  return device;
};
