/**
 * Route changes of a single-page app. One patch of `history` per page, however many modules and clients listen: patches
 * that are stacked cannot be taken off in any order. What was patched on top of ours stays, and ours does nothing then.
 */
export interface RouteListener {
  /** The page is about to leave this URL, or (back, forward, an anchor) has just left it. */
  leave(): void;
  /** The page has another URL now. */
  enter(from: string): void;
}

interface Watch {
  listeners: Set<RouteListener>;
  url: string;
  end(): boolean;
}

/** Found by every copy of this file: each lazy module has its own. */
const WATCH = Symbol.for("obc.routes");
const METHODS = ["pushState", "replaceState"] as const;

type Page = typeof globalThis & { [WATCH]?: Watch };

const begin = (): Watch => {
  const listeners = new Set<RouteListener>();
  const ends = new AbortController();
  const tell = (call: (listener: RouteListener) => void) => [...listeners].forEach(call);
  const enter = () => {
    if (location.href === watch.url) return;
    const from = watch.url;
    watch.url = location.href;
    tell((listener) => listener.enter(from));
  };
  const moved = () => {
    if (location.href === watch.url) return;
    tell((listener) => listener.leave());
    enter();
  };
  const leadsElsewhere = (url: unknown) => {
    try {
      return url != null && new URL(String(url), document.baseURI).href !== watch.url;
    } catch {
      return false; // the browser will say so
    }
  };
  const patches = METHODS.map((name) => {
    const original = history[name];
    const wasOwn = Object.hasOwn(history, name);
    const patched: History["pushState"] = function (this: History, ...given) {
      const watched = this === history && listeners.size;
      if (watched && leadsElsewhere(given[2])) tell((listener) => listener.leave());
      original.apply(this, given);
      if (watched) enter();
    };
    history[name] = patched;
    return {
      isOnTop: () => history[name] === patched,
      takeOff() {
        if (wasOwn) history[name] = original;
        else delete (history as Partial<History>)[name];
      },
    };
  });
  addEventListener("popstate", moved, ends);
  addEventListener("hashchange", moved, ends);
  const watch: Watch = {
    listeners,
    url: location.href,
    end() {
      // With another's patch on top, this watch is kept, asleep, for the next listener.
      const free = patches.every((patch) => patch.isOnTop());
      if (free) {
        patches.forEach((patch) => patch.takeOff());
        ends.abort();
      }
      return free;
    },
  };
  return watch;
};

/** Answers what ends it. */
export const watchRoutes = (listener: RouteListener): (() => void) => {
  const page = globalThis as Page;
  const watch = (page[WATCH] ??= begin());
  if (!watch.listeners.size) watch.url = location.href;
  watch.listeners.add(listener);
  return () => {
    if (watch.listeners.delete(listener) && !watch.listeners.size && watch.end()) delete page[WATCH];
  };
};
