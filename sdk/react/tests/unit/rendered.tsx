/** A page that uses everything, and what a server must make of it. */
import type { AnalyticsConfig } from "@openbiocure/analytics";
import type { ReactElement } from "react";
import { AnalyticsErrorBoundary, AnalyticsProvider, useEventTracking, usePageTracking } from "../../src/index.ts";

const Home = (): ReactElement => {
  const analytics = usePageTracking("home");
  const { trackEvent } = useEventTracking();
  analytics.register({ rendered: true });
  return <button onClick={() => trackEvent("greeted")}>Hello</button>;
};

export const rendered = (config: AnalyticsConfig): ReactElement => (
  <AnalyticsProvider config={config}>
    <AnalyticsErrorBoundary>
      <Home />
    </AnalyticsErrorBoundary>
  </AnalyticsProvider>
);

export const MARKUP = "<button>Hello</button>";
