/** The client that a provider makes of its `config`. */
import { OpenBioCureAnalytics, type AnalyticsClient, type AnalyticsConfig } from "@openbiocure/analytics";

export interface OwnClient {
  /** Whose queue it is. Another one needs another client. */
  readonly destination: string;
  /** Makes the client when it is first asked for. */
  readonly get: () => AnalyticsClient;
  /** The user that the client knows of. */
  user: string | undefined;
  /** A provider shows it now. */
  mounted: boolean;
}

/** An empty text is no user. */
export const userOf = (config: AnalyticsConfig | undefined): string | undefined => config?.user_id || undefined;

export const destinationOf = ({ endpoint, write_key, tenant_id }: AnalyticsConfig): string =>
  JSON.stringify([endpoint, write_key, tenant_id]);

/** Nothing is made yet: React renders a component twice under StrictMode and keeps one of the results. */
export const ownClient = (config: AnalyticsConfig): OwnClient => {
  let client: AnalyticsClient | undefined;
  return {
    destination: destinationOf(config),
    get: () => (client ??= new OpenBioCureAnalytics(config)),
    user: userOf(config),
    mounted: false,
  };
};
