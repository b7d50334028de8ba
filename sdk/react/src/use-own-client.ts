/** One client per provider: made once, runs while the provider is mounted, follows who is signed in. */
import type { AnalyticsConfig } from "@openbiocure/analytics";
import { useEffect, useState } from "react";
import type { GetClient } from "./context.ts";
import { destinationOf, ownClient, type OwnClient, userOf } from "./own-client.ts";

/** The client of this config, or nothing without one. A config that only is another object is the same config. */
const useOneClient = (config: AnalyticsConfig | undefined): OwnClient | undefined => {
  const [own, setOwn] = useState(() => config && ownClient(config));
  if (own?.destination === (config && destinationOf(config))) return own;
  const other = config && ownClient(config);
  setOwn(other);
  return other;
};

export const useOwnClient = (config: AnalyticsConfig | undefined): GetClient | undefined => {
  const own = useOneClient(config);
  const user = userOf(config);

  useEffect(() => {
    if (!own) return;
    own.mounted = true;
    void own.get().initialize();
    return () => {
      own.mounted = false;
      // Not at once: components below track while they are unmounted too, and StrictMode mounts again in a moment.
      queueMicrotask(() => own.mounted || own.get().destroy());
    };
  }, [own]);

  useEffect(() => {
    if (!own || own.user === user) return;
    own.user = user;
    if (user) own.get().identify(user);
    else own.get().reset();
  }, [own, user]);

  return own?.get;
};
