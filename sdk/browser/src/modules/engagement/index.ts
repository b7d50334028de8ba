/** Time that was spent with each page view and how far it was scrolled: one event when it is left or hidden. */
import { guard } from "../../page/guard.ts";
import { watchRoutes } from "../../page/routes.ts";
import { depthOf, watchScroll } from "../../page/scroll.ts";
import type { Module, ModuleHost } from "../../types.ts";
import { createEngagementClock } from "./clock.ts";

export interface EngagementOptions {
  /** Milliseconds without input after which nobody is taken to be there, default 30,000. */
  idle_after?: number;
}

/** A shorter page view is a redirect. */
const REDIRECT = 50;
/** After it was hidden, a page view has another event only when it was looked at for so long again. */
const WORTH_ANOTHER = 1_000;
const SIGNS_OF_LIFE = ["pointerdown", "pointermove", "keydown", "wheel", "touchmove", "scroll"];
/** Signs come by the hundred; one of them is enough for so long. */
const ONE_SIGN = 1_000;

/** `now` is a clock that nobody sets: milliseconds since some moment. */
export const startEngagement = (host: ModuleHost, options: unknown, now: () => number): (() => void) => {
  const { idle_after = 30_000 } = Object(options) as EngagementOptions;
  const ends = new AbortController();
  const clock = createEngagementClock(now, idle_after, !document.hidden);
  const inSight = () => depthOf(document.scrollingElement ?? document.documentElement);
  let deepest = 0;
  let parts = 0;
  let lastSign = -Infinity;
  const scroll = watchScroll((depth) => (deepest = Math.max(deepest, depth)));

  const report = guard(host.debug, (reason: "route" | "hidden" | "ended", least: number) => {
    scroll.look();
    const { engaged, visible } = clock.read();
    if (visible < (parts ? WORTH_ANOTHER : least)) return;
    clock.reset();
    host.track(
      "engagement",
      { engaged_ms: engaged, visible_ms: visible, scroll_depth: deepest || inSight(), page_url: url.slice(0, 2_048), part: ++parts, reason },
      "engagement",
    );
  });

  let url = location.href;
  const end = watchRoutes({
    leave: guard(host.debug, () => report("route", REDIRECT)),
    enter: guard(host.debug, () => {
      scroll.forget();
      deepest = parts = 0;
      url = location.href;
      clock.active();
      clock.reset();
    }),
  });

  const sign = () => {
    const time = now();
    if (time - lastSign < Math.min(ONE_SIGN, idle_after)) return;
    lastSign = time;
    clock.active();
  };
  for (const type of SIGNS_OF_LIFE) addEventListener(type, sign, { capture: true, passive: true, signal: ends.signal });
  const hide = () => {
    clock.hide();
    report("hidden", 0);
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? hide() : clock.show()), ends);
  addEventListener("pagehide", hide, ends);
  addEventListener("pageshow", () => document.hidden || clock.show(), ends);
  return () => {
    ends.abort();
    end();
    report("ended", REDIRECT);
    scroll.end();
  };
};

const engagement: Module = (host, options) => {
  if (globalThis.document) return startEngagement(host, options, () => performance.now());
};

export default engagement;
