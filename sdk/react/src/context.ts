/** How a provider hands its client down. */
import type { AnalyticsClient } from "@openbiocure/analytics";
import { createContext } from "react";

/** Answers the client, the same one at every call. */
export type GetClient = () => AnalyticsClient;

export const AnalyticsContext = createContext<GetClient | undefined>(undefined);
