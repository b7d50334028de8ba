/**
 * The rules that need no more than an event's name, obeyed here so that what they leave out never leaves the browser. A
 * sample is drawn by the server: it knows the whole person, and answers `dropped` for events outside of it.
 */
import type { TenantRules } from "./types.ts";

/** Why the rules leave out an event of this name, or an empty string. Before they are known, nothing is left out. */
export const leftOutBy = (rules: TenantRules | undefined, name: string): string => {
  if (!rules) return "";
  if (!rules.enabled) return "disabled";
  const matches = (rule: string) => (rule.endsWith("*") ? name.startsWith(rule.slice(0, -1)) : name === rule);
  return rules.excluded_events?.some(matches) ? "excluded" : "";
};
