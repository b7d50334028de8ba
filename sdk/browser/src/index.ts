/** The package's entry for bundlers: lazy files become chunks of the page's own build. */
import { createClient } from "./client.ts";
import type { AnalyticsClient, AnalyticsConfig, LazyFiles, Module, ModuleName } from "./types.ts";

const loaders: Record<ModuleName, () => Promise<{ default: Module }>> = {
  autocapture: () => import("./modules/autocapture/index.ts"),
  "web-vitals": () => import("./modules/web-vitals.ts"),
  errors: () => import("./modules/errors/index.ts"),
  engagement: () => import("./modules/engagement/index.ts"),
};

const lazy: LazyFiles = {
  // async: a module that is not there is a rejection like one that cannot be loaded, never thrown into the page.
  module_: async (name) => loaders[name](),
  fallback_: () => import("./fallback/index.ts"),
  device_: () => import("./device/index.ts"),
};

export interface OpenBioCureAnalytics extends AnalyticsClient {}

export class OpenBioCureAnalytics {
  constructor(config: AnalyticsConfig) {
    Object.assign(this, createClient(config, lazy));
  }
}

export type * from "./types.ts";
