/** Browser, system and kind of device out of the User-Agent string, where there are no Client Hints. */
import type { DeviceInfo } from "../types.ts";

/** Order matters: every browser claims to be those that come after it. */
const BROWSERS: [string, RegExp][] = [
  ["Edge", /Edg(?:e|A|iOS)?\/(\d+)/],
  ["Opera", /OPR\/(\d+)/],
  ["Samsung Internet", /SamsungBrowser\/(\d+)/],
  ["Firefox", /(?:Firefox|FxiOS)\/(\d+)/],
  ["Chrome", /(?:Chrome|CriOS)\/(\d+)/],
  ["Safari", /Version\/(\d+).*Safari/],
];

const SYSTEMS: [string, RegExp][] = [
  ["Windows", /Windows NT ([\d.]+)/],
  ["iOS", /iP(?:hone|ad|od).*? OS ([\d_]+)/],
  ["Android", /Android ([\d.]+)/],
  ["ChromeOS", /CrOS \w+ ([\d.]+)/],
  ["macOS", /Mac OS X ([\d_.]+)/],
  ["Linux", /Linux()/],
];

const find = (list: [string, RegExp][], text: string): [name?: string, version?: string] => {
  for (const [name, pattern] of list) {
    const match = pattern.exec(text);
    if (match) return [name, match[1]!.replace(/_/g, ".")];
  }
  return [];
};

export const parseUserAgent = (userAgent: string, maxTouchPoints: number): DeviceInfo => {
  const [browser, browser_version] = find(BROWSERS, userAgent);
  let [os, os_version] = find(SYSTEMS, userAgent);
  let tablet = /iPad|Tablet/.test(userAgent) || (os === "Android" && !/Mobile/.test(userAgent));
  // An iPad says that it is a Mac, and freezes the version it says.
  if (os === "macOS" && maxTouchPoints > 1) [os, os_version, tablet] = ["iOS", "", true];
  const device_type = tablet ? "tablet" : /Mobi|iPhone/.test(userAgent) ? "mobile" : "desktop";
  return { browser, browser_version, os, os_version, device_type } as DeviceInfo;
};
