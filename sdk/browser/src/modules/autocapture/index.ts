/**
 * What visitors do, without a call in the page: clicks, submits, routes of single-page apps, scrolling, rage clicks and
 * dead clicks. Never what is typed. `data-obc-*` attributes name, mask and ignore (README.md).
 */
import { guard } from "../../page/guard.ts";
import { watchRoutes } from "../../page/routes.ts";
import { watchScroll } from "../../page/scroll.ts";
import type { Module, Properties } from "../../types.ts";
import { createDeadClicks } from "./dead.ts";
import { describe, isIgnored, isSecret, meantBy, pathOf } from "./element.ts";
import { createRageDetector } from "./rage.ts";
import { createShadowRoots } from "./shadow-roots.ts";

export interface AutocaptureOptions {
  /** Clicks on what can be clicked, default true. */
  clicks?: boolean;
  /** Submitted forms, default true. */
  submits?: boolean;
  /** That a field was changed, never to what; default false. */
  changes?: boolean;
  /** A `page_view` for every other URL of a single-page app, default true. The page's first one is the page's own. */
  routes?: boolean;
  /** 25, 50, 75 and 100 % of a page view, default true. */
  scroll?: boolean;
  /** Three clicks at one spot within a second, default true. */
  rage_clicks?: boolean;
  /** Clicks after which nothing changes for 2.5 s, default true. */
  dead_clicks?: boolean;
  /** Most characters of a button's or link's text, default 64; 0 = no texts. */
  text_length?: number;
}

const CATEGORY = "autocapture";
const DEPTHS = [25, 50, 75, 100];

const autocapture: Module = (host, options) => {
  if (!globalThis.document) return;
  const {
    clicks = true, submits = true, changes = false, routes = true, scroll = true, rage_clicks = true, dead_clicks = true, text_length = 64,
  } = Object(options) as AutocaptureOptions;
  const ends = new AbortController();
  const isRage = createRageDetector();
  const dead = createDeadClicks();
  let depths = DEPTHS;
  let viewed = location.href;
  let viewTimer: ReturnType<typeof setTimeout> | undefined;

  const act = (action_name: string, described: Properties) =>
    host.track("user_action", { ...described, action_name }, CATEGORY);

  const onClick = guard(host.debug, (event: Event) => {
    const path = pathOf(event);
    // What a script clicks, nobody has clicked.
    if (!event.isTrusted || !path[0] || isIgnored(path)) return;
    const { detail, clientX: x, clientY: y, timeStamp: at } = event as MouseEvent;
    const { element, invites } = meantBy(path);
    // A label hands its click on to its field, which is the one that counts.
    if (element instanceof HTMLLabelElement && element.control) return;
    const described = describe(element ?? path[0], path, text_length);
    if (element && clicks) act("click", described);
    // The keyboard clicks at no spot; three clicks into text select it.
    const rage = rage_clicks && detail > 0 && isRage({ x, y, at }) && (invites || getSelection()?.isCollapsed !== false);
    if (rage) host.track("rage_click", { ...described, clicks: 3 }, CATEGORY);
    if (element && invites && dead_clicks && !isSecret(element)) {
      dead.watch(event, element, guard(host.debug, () => host.track("dead_click", described, CATEGORY)));
    }
  });

  const onForm = guard(host.debug, (event: Event) => {
    const path = pathOf(event);
    dead.cancel();
    if (path[0] && !isIgnored(path)) act(event.type, describe(path[0], path, 0));
  });

  const formEvents = [...(submits ? ["submit"] : []), ...(changes ? ["change"] : [])];
  const roots = createShadowRoots(formEvents, onForm);
  const meet = guard(host.debug, roots.meet);
  const on = (type: string, listener: (event: Event) => void) =>
    addEventListener(type, listener, { capture: true, passive: true, signal: ends.signal });

  on("click", onClick);
  formEvents.forEach((type) => on(type, onForm));
  if (formEvents.length) ["pointerdown", "focusin"].forEach((type) => on(type, meet));

  const scrolled = scroll
    ? watchScroll((depth) => {
        const reached = depths.filter((one) => one <= depth);
        depths = depths.filter((one) => one > depth);
        reached.forEach((one) => host.track("scroll_depth", { depth: one }, CATEGORY));
      })
    : undefined;

  const view = guard(host.debug, () => {
    clearTimeout(viewTimer);
    viewTimer = undefined;
    if (location.href === viewed) return;
    const from = viewed;
    viewed = location.href;
    host.track(
      "page_view",
      { page_name: location.pathname, page_title: document.title, page_url: viewed.slice(0, 2_048), referrer: from.slice(0, 2_048), route_change: true },
      "navigation",
    );
  });

  const endRoutes = watchRoutes({
    leave: guard(host.debug, () => scrolled?.look()),
    enter: guard(host.debug, () => {
      dead.cancel();
      scrolled?.forget();
      depths = DEPTHS;
      // Later, when the app has set its title; a redirect within the same task is one page view.
      if (routes) viewTimer ??= setTimeout(view);
    }),
  });
  // A page that is left at once has still been viewed.
  on("pagehide", () => viewTimer && view());

  return () => {
    clearTimeout(viewTimer);
    endRoutes();
    scrolled?.end();
    dead.cancel();
    roots.end();
    ends.abort();
  };
};

export default autocapture;
