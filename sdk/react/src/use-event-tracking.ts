/** Functions that track, the same ones at every render. */
import type { Properties } from "@openbiocure/analytics";
import { useMemo } from "react";
import { useAnalytics } from "./use-analytics.ts";

export interface EventTracking {
  trackEvent(eventName: string, properties?: Properties, category?: string): void;
  trackAction(actionName: string, elementType: string, elementId: string, properties?: Properties): void;
}

export const useEventTracking = (): EventTracking => {
  const analytics = useAnalytics();
  return useMemo(() => ({ trackEvent: analytics.track, trackAction: analytics.trackAction }), [analytics]);
};
