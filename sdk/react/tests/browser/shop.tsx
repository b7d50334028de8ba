/** A page under StrictMode, with one component that cannot be rendered. */
import { AnalyticsErrorBoundary, AnalyticsProvider, useAnalytics, usePageTracking } from "@openbiocure/analytics-react";
import { type ReactElement, StrictMode } from "react";
import { createRoot } from "react-dom/client";

const { endpoint, write_key } = Object.fromEntries(new URLSearchParams(location.search)) as Record<string, string>;

const Broken = (): ReactElement => {
  throw new TypeError("the price is missing");
};

const Shop = (): ReactElement => {
  usePageTracking("react shop", { items: 3 });
  Object.assign(globalThis, { client: useAnalytics() });
  return (
    <AnalyticsErrorBoundary fallback={<p>Sorry</p>} context={{ area: "prices" }}>
      <Broken />
    </AnalyticsErrorBoundary>
  );
};

createRoot(document.body.appendChild(document.createElement("main"))).render(
  <StrictMode>
    <AnalyticsProvider config={{ endpoint: endpoint!, write_key: write_key! }}>
      <Shop />
    </AnalyticsProvider>
  </StrictMode>,
);
