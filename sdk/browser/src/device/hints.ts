/** What a browser says of itself in User-Agent Client Hints. */
import type { DeviceInfo } from "../types.ts";

export interface ClientHints {
  brands: { brand: string; version: string }[];
  mobile: boolean;
  platform: string;
  getHighEntropyValues(names: string[]): Promise<{ platformVersion?: string }>;
}

export const readHints = async (hints: ClientHints): Promise<DeviceInfo> => {
  const known = hints.brands.find(({ brand }) => !/Not.A|Chromium/.test(brand)) ?? hints.brands.find(({ brand }) => brand === "Chromium");
  const { platformVersion } = await hints.getHighEntropyValues(["platformVersion"]).catch(() => ({ platformVersion: "" }));
  return {
    ...(known && { browser: known.brand.replace(/^(Google|Microsoft) /, ""), browser_version: known.version }),
    ...(hints.platform && { os: hints.platform.replace(/^Chrom.*/, "ChromeOS") }),
    ...(platformVersion && { os_version: platformVersion }),
    ...(hints.mobile && { device_type: "mobile" as const }),
  };
};
