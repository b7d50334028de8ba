/** The entry for a script tag: one global class; lazy files lie beside this one. */
import { createClient } from "./client.ts";
import type { AnalyticsConfig } from "./types.ts";

const base = (document.currentScript as HTMLScriptElement | null)?.src ?? location.href;
const load = (path: string) => import(new URL(path + ".js", base).href);

class OpenBioCureAnalytics {
  constructor(config: AnalyticsConfig) {
    Object.assign(this, createClient(config, (name) => load("modules/" + name), () => load("fallback")));
  }
}

Object.assign(globalThis, { OpenBioCureAnalytics });
