/** The session of a page: its id as the SDK remembers it, and what PostgreSQL has of it. */
import type { Page } from "@playwright/test";
import type { Stack } from "./stack.ts";

/** One event as it is stored; the other columns are there too. */
export interface SessionEvent {
  event_name: string;
  event_category: string;
  properties: Record<string, unknown>;
}

const sessionOf = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const [, value = ""] = Object.entries(localStorage).find(([key]) => /^obc_.*_session$/.test(key)) ?? [];
    return (value as string).split(" ")[0]!;
  });

/** Every event of the page's session, whole, in the order of their times. */
export const sessionEvents = async (stack: Stack, page: Page): Promise<SessionEvent[]> => {
  const query = "SELECT to_jsonb(e)::text FROM analytics_events e WHERE session_id = $1 ORDER BY event_time, event_id";
  const rows = await stack.ask<[string]>(query, await sessionOf(page));
  return rows.map(([event]) => JSON.parse(event) as SessionEvent);
};
