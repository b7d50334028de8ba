/** A page view when the component is shown, and again when the page's name changes. */
import type { AnalyticsClient, Properties } from "@openbiocure/analytics";
import { useEffect } from "react";
import { useAnalytics } from "./use-analytics.ts";

export const usePageTracking = (pageName: string, properties?: Properties): AnalyticsClient => {
  const analytics = useAnalytics();
  useEffect(() => {
    let shown = true;
    // StrictMode runs an effect, undoes it and runs it again, all before this: that is one view.
    queueMicrotask(() => shown && analytics.trackPageView(pageName, properties));
    return () => {
      shown = false;
    };
    // `properties` are those of the moment; an object made anew at every render is no other page.
  }, [analytics, pageName]);
  return analytics;
};
