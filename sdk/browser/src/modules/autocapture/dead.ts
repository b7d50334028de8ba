/** Clicks after which nothing changed: no part of the page, no place in it, no field, no selection, no other page. */
import { addressOf } from "./element.ts";

const PATIENCE = 2_500;
/** Each says that the click did something. */
const LIFE = ["scroll", "input", "change", "submit", "reset", "invalid", "toggle", "play", "pause", "copy", "fullscreenchange", "beforetoggle", "blur", "pagehide", "visibilitychange"];
/** Fields answer a click by their cursor, their list or their picker, none of which can be seen from here. */
const FIELDS = "input:not([type=button],[type=submit],[type=reset],[type=image]),textarea,select,option,label,audio,video,[contenteditable]:not([contenteditable=false i])";

export interface DeadClicks {
  /** Watches what comes of a click; only the last one can be judged. */
  watch(event: Event, element: Element, dead: () => void): void;
  /** Something has happened. */
  cancel(): void;
}

/** The browser itself follows this link, in this tab or another, or starts another program. */
const isFollowed = (event: Event, element: Element): boolean => {
  const link = element.closest("a[href],area[href]");
  if (!link || event.defaultPrevented) return false;
  const target = addressOf(link.getAttribute("href")!);
  if (!target || target.protocol === "javascript:") return false;
  return link.hasAttribute("target") || target.href.split("#")[0] !== location.href.split("#")[0];
};

const isSelecting = () => {
  const selection = getSelection();
  return !!selection && !selection.isCollapsed;
};

export const createDeadClicks = (): DeadClicks => {
  let end: (() => void) | undefined;
  const cancel = () => {
    end?.();
    end = undefined;
  };
  return {
    cancel,
    watch(event, element, dead) {
      cancel();
      if (element.matches(FIELDS)) return;
      const ends = new AbortController();
      const observer = new MutationObserver(cancel);
      const timer = setTimeout(() => {
        cancel();
        if (!isSelecting() && !isFollowed(event, element)) dead();
      }, PATIENCE);
      end = () => {
        clearTimeout(timer);
        observer.disconnect();
        ends.abort();
      };
      for (const root of event.composedPath()) {
        if (root instanceof Document || root instanceof ShadowRoot) {
          observer.observe(root, { subtree: true, childList: true, attributes: true, characterData: true });
        }
      }
      // Captured at the window: most of these do not bubble. What loses focus in the page is no sign, the window is.
      const alive = (sign: Event) => {
        if (sign.type !== "blur" || sign.target === globalThis.window) cancel();
      };
      for (const type of LIFE) addEventListener(type, alive, { capture: true, passive: true, signal: ends.signal });
    },
  };
};
