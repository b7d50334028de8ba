/** The package's entry for bundlers: lazy files become chunks of the page's own build. */
import { createClient } from "./client.ts";
import type { AnalyticsClient, AnalyticsConfig, LoadModule } from "./types.ts";

/** One line per module: `autocapture: () => import("./modules/autocapture.ts")`. */
const loaders: Partial<Record<string, () => ReturnType<LoadModule>>> = {};

export interface OpenBioCureAnalytics extends AnalyticsClient {}

export class OpenBioCureAnalytics {
  constructor(config: AnalyticsConfig) {
    Object.assign(this, createClient(config, (name) => loaders[name]!(), () => import("./fallback/index.ts")));
  }
}

export type * from "./types.ts";
