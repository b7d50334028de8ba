/** The client of the provider above. */
import type { AnalyticsClient } from "@openbiocure/analytics";
import { useContext } from "react";
import { AnalyticsContext } from "./context.ts";

/** On a server that renders pages it takes events and does nothing with them. */
export const useAnalytics = (): AnalyticsClient => {
  const getClient = useContext(AnalyticsContext);
  if (!getClient) throw new Error("useAnalytics must be used within AnalyticsProvider");
  return getClient();
};
