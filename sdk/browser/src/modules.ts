/** The modules that a page has added: started with consent, ended without. */
import type { Module, ModuleHost } from "./types.ts";

interface Running {
  options_: unknown;
  end_?: (() => void) | void;
}

export const startModules = (host: ModuleHost) => {
  const modules = new Map<Module, Running>();
  const running = new Set<Running>();
  return {
    add_: (module: Module, options_: unknown) => modules.set(module, { options_ }),
    start_: () =>
      modules.forEach((one, module) => {
        if (running.has(one)) return;
        running.add(one);
        one.end_ = module(host, one.options_);
      }),
    end_() {
      running.forEach((one) => one.end_?.());
      running.clear();
    },
  };
};
