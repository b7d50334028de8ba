/** What a browser says of itself in User-Agent Client Hints. */
import type { DeviceInfo } from "../types.ts";

export interface ClientHints {
  brands: { brand: string; version: string }[];
  mobile: boolean;
  platform: string;
  getHighEntropyValues(names: string[]): Promise<{ platformVersion?: string }>;
}

/** As people write it: 16, 14.5. Windows counts its hint on its own: 13 and above are Windows 11, 1 to 12 are Windows 10. */
const systemVersion = (platform: string, hint: string) =>
  platform === "Windows" ? (parseInt(hint) > 12 ? "11" : parseInt(hint) ? "10" : "") : hint.replace(/(\.0)+$/, "");

export const readHints = async (hints: ClientHints): Promise<DeviceInfo> => {
  const known = hints.brands.find(({ brand }) => !/Not.A|Chromium/.test(brand)) ?? hints.brands.find(({ brand }) => brand === "Chromium");
  const { platformVersion } = await hints.getHighEntropyValues(["platformVersion"]).catch(() => ({ platformVersion: "" }));
  const version = systemVersion(hints.platform, platformVersion ?? "");
  return {
    ...(known && { browser: known.brand.replace(/^(Google|Microsoft) /, ""), browser_version: known.version }),
    ...(hints.platform && { os: hints.platform.replace(/^Chrom.*/, "ChromeOS") }),
    ...(version && { os_version: version }),
    ...(hints.mobile && { device_type: "mobile" as const }),
  };
};
