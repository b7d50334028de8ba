/** What the visitor allows: the browser's own signal first, then the visitor's decision, then the page's default. */
import { readLocal, writeLocal } from "../storage.ts";
import type { AnalyticsConfig, ConsentState } from "../types.ts";

interface PrivacySignals {
  globalPrivacyControl?: boolean;
  doNotTrack?: string | null;
}

export interface Consent {
  state_(): ConsentState;
  /** Remembers the visitor's own decision, also one against storing: it could not be obeyed otherwise. */
  decide_(state: ConsentState): void;
}

export const createConsent = (config: AnalyticsConfig, prefix: string): Consent => {
  const key = prefix + "consent";
  let decided: ConsentState | undefined;
  return {
    state_() {
      const { globalPrivacyControl, doNotTrack } = Object(globalThis.navigator) as PrivacySignals;
      if (config.respect_gpc !== false && globalPrivacyControl) return "denied";
      if (config.respect_dnt !== false && doNotTrack === "1") return "denied";
      return (
        (readLocal(key) as ConsentState | null) ?? decided ?? config.consent ?? (config.cookieless ? "pending" : "granted")
      );
    },
    decide_(state) {
      // Nothing is stored before consent; without a decision the next page begins the same way.
      const written = writeLocal(key, config.cookieless && state === "pending" ? undefined : state);
      // What allows is forgotten by whoever deletes it, in whichever tab; what forbids stays.
      decided = written && state === "granted" ? undefined : state;
    },
  };
};
