/** The entry for a script tag: one global class; lazy modules are files beside this one. */
import { Client } from "./client.ts";
import type { Module, ModuleName } from "./types.ts";

const base = (document.currentScript as HTMLScriptElement | null)?.src ?? location.href;

class OpenBioCureAnalytics extends Client {
  protected override load_(name: ModuleName): Promise<{ default: Module }> {
    return import(new URL(`modules/${name}.js`, base).href);
  }
}

Object.assign(globalThis, { OpenBioCureAnalytics });
