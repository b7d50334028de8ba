/** The tenant's rules, obeyed here so that what the server would leave out never leaves the browser. */
import type { TenantRules } from "./types.ts";

/** Why the rules leave out an event of this name, or an empty string. Before they are known, nothing is left out. */
export const leftOutBy = (rules: TenantRules | undefined, name: string): string => {
  if (!rules) return "";
  if (!rules.enabled) return "disabled";
  const matches = (rule: string) => (rule.endsWith("*") ? name.startsWith(rule.slice(0, -1)) : name === rule);
  return rules.excluded_events?.some(matches) ? "excluded" : "";
};
