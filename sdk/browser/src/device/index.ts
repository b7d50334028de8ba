/**
 * Browser, system and kind of device: Client Hints first, then the User-Agent string; and the room there is. A file of
 * its own that every page loads once; what is tracked a moment before it is there, the server completes out of `user_agent`.
 */
import type { DeviceInfo } from "../types.ts";
import { type ClientHints, readHints } from "./hints.ts";
import { parseUserAgent } from "./user-agent.ts";

export interface BrowserNames {
  userAgent: string;
  maxTouchPoints?: number;
  userAgentData?: ClientHints;
}

export const readDevice = async ({ userAgent, maxTouchPoints, userAgentData }: BrowserNames): Promise<DeviceInfo> => ({
  ...parseUserAgent(userAgent, maxTouchPoints ?? 0),
  // What extensions put there may be anything.
  ...(userAgentData && (await readHints(userAgentData).catch(() => ({})))),
});

export { roomFor } from "./room.ts";
