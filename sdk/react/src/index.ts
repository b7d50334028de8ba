/** The package's entry. */
export { AnalyticsErrorBoundary } from "./error-boundary.tsx";
export type { AnalyticsErrorBoundaryProps, CaughtError } from "./error-boundary.tsx";
export { AnalyticsProvider } from "./provider.tsx";
export type { AnalyticsProviderProps } from "./provider.tsx";
export { useAnalytics } from "./use-analytics.ts";
export { useEventTracking } from "./use-event-tracking.ts";
export type { EventTracking } from "./use-event-tracking.ts";
export { usePageTracking } from "./use-page-tracking.ts";
