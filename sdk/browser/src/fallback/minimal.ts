/** The tracking level `minimal`, obeyed here so that what the server would strip never leaves the browser. */
import type { AnalyticsEvent, TenantRules } from "../types.ts";

/** Ids stay while the server draws a sample by them. */
export const strip = (event: AnalyticsEvent, rules: TenantRules): AnalyticsEvent => {
  const { referrer, user_agent, user_id, anonymous_id, correlation_id, ...kept } = event;
  return {
    ...kept,
    ...(rules.sampling_rate < 1 && { user_id, anonymous_id }),
    properties: {},
    page_url: event.page_url && new URL(event.page_url, location.href).pathname,
    device_info: { device_type: event.device_info?.device_type! },
  };
};
