/** The session of a page: its id as the SDK remembers it, and what PostgreSQL has of it. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Page } from "@playwright/test";
import { PYTHON } from "./stack.ts";

/** One event as it is stored; the other columns are there too. */
export interface StoredEvent {
  event_name: string;
  event_category: string;
  properties: Record<string, unknown>;
}

export const sessionOf = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const [, value = ""] = Object.entries(localStorage).find(([key]) => /^obc_.*_session$/.test(key)) ?? [];
    return (value as string).split(" ")[0]!;
  });

/** Every event of the page's session, in the order of their times. */
export const storedOf = async (page: Page): Promise<StoredEvent[]> => {
  const dsn = `postgresql://postgres@127.0.0.1:${process.env["OBC_STACK_POSTGRES"]}/analytics`;
  const script = new URL("session_events.py", import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(PYTHON, [script, dsn, await sessionOf(page)], { maxBuffer: 2 ** 26 });
  return JSON.parse(stdout) as StoredEvent[];
};
