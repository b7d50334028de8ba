/** Gives the components below it one client. */
import type { AnalyticsClient, AnalyticsConfig } from "@openbiocure/analytics";
import { type ReactElement, type ReactNode, useMemo } from "react";
import { AnalyticsContext, type GetClient } from "./context.ts";
import { useOwnClient } from "./use-own-client.ts";

export type AnalyticsProviderProps = { children?: ReactNode } & (
  | {
      /**
       * Of the client that the provider makes, initializes and destroys. Read once: later only another `endpoint`,
       * `write_key` or `tenant_id` (a new client) and another `user_id` (`identify`, or `reset` without one) count.
       */
      config: AnalyticsConfig;
      client?: undefined;
    }
  | {
      /** A client that is yours: whoever made it initializes and destroys it. */
      client: AnalyticsClient;
      config?: undefined;
    }
);

export const AnalyticsProvider = ({ config, client, children }: AnalyticsProviderProps): ReactElement => {
  const own = useOwnClient(client ? undefined : config);
  const given = useMemo<GetClient | undefined>(() => client && (() => client), [client]);
  return <AnalyticsContext.Provider value={given ?? own}>{children}</AnalyticsContext.Provider>;
};
