/** The package's entry for bundlers: lazy modules become chunks of the page's own build. */
import { Client } from "./client.ts";
import type { Module, ModuleName } from "./types.ts";

/** One line per module: `autocapture: () => import("./modules/autocapture.ts")`. */
const loaders: Partial<Record<ModuleName, () => Promise<{ default: Module }>>> = {};

export class OpenBioCureAnalytics extends Client {
  protected override load_(name: ModuleName): Promise<{ default: Module }> {
    return loaders[name]?.() ?? Promise.reject(new Error(`modules.${name} is unknown`));
  }
}

export type * from "./types.ts";
