/** The tenant's rules, obeyed here so that what the server would leave out never leaves the browser. */
import type { AnalyticsEvent, TenantRules } from "./types.ts";

/** Why the rules leave out an event of this name, or an empty string. Before they are known, nothing is left out. */
export const leftOutBy = (rules: TenantRules | undefined, name: string): string => {
  if (!rules) return "";
  if (!rules.enabled) return "disabled";
  const matches = (rule: string) => (rule.endsWith("*") ? name.startsWith(rule.slice(0, -1)) : name === rule);
  return rules.excluded_events?.some(matches) ? "excluded" : "";
};

/** Takes away what the level `minimal` does not keep. Ids stay while the server draws a sample by them. */
export const strip = (event: AnalyticsEvent, rules: TenantRules | undefined): AnalyticsEvent => {
  if (rules?.tracking_level !== "minimal") return event;
  const { referrer, user_agent, user_id, anonymous_id, correlation_id, ...kept } = event;
  return {
    ...kept,
    ...(rules.sampling_rate < 1 && { user_id, anonymous_id }),
    properties: {},
    page_url: event.page_url && new URL(event.page_url).pathname,
    device_info: { device_type: event.device_info?.device_type! },
  };
};
