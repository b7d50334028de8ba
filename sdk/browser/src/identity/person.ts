/** Who: a device id made here, a user id given by the page, and the properties that go with every event. */
import { uuid7 } from "../ids.ts";
import type { Properties } from "../types.ts";
import type { Cells } from "./cells.ts";

/** The likeliest values that would merge everybody into one person; the server refuses more of them. */
const MERGING = /^(0|null|undefined|nan|none|anonymous|guest|true|false|\[object object\]|)$/i;

export const isUserId = (id: unknown): id is string => typeof id === "string" && id.length <= 200 && !MERGING.test(id.trim());

export const anonymousId = (cells: Cells): string => cells.get_("anonymous") ?? cells.set_("anonymous", uuid7());

export const superProperties = (cells: Cells): Properties => {
  try {
    return JSON.parse(cells.get_("super") ?? "{}") as Properties;
  } catch {
    return {};
  }
};
