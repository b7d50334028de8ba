/** The entry for a script tag: one global class; lazy files lie beside this one. */
import { createClient } from "./client.ts";
import { page } from "./event.ts";
import type { AnalyticsConfig } from "./types.ts";

const base = (page()?.currentScript as HTMLScriptElement | null)?.src ?? location.href;
// async: where this file lies at no address (a worker made of text), loading is a rejection, never thrown into the page.
const load = async (path: string) => import(new URL(path + ".js", base).href);

const lazy = {
  module_: (name: string) => load("modules/" + name),
  fallback_: () => load("fallback"),
  device_: () => load("device"),
};

class Analytics {
  constructor(config: AnalyticsConfig) {
    Object.assign(this, createClient(config, lazy));
  }
}

(globalThis as { OpenBioCureAnalytics?: typeof Analytics }).OpenBioCureAnalytics = Analytics;
