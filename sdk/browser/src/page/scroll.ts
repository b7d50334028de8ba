/** How far down the page somebody has come. Looks at most a few times a second, for reading sizes may cost a layout. */
const LOOK_AFTER = 150;
/** A scrolling part of the page counts like the page when it has at least this share of the window's height. */
const MAIN_SHARE = 0.5;

interface Scroller {
  scrollTop: number;
  clientHeight: number;
  scrollHeight: number;
}

/** Percent of the content that has been in sight at this position. */
export const depthOf = ({ scrollTop, clientHeight, scrollHeight }: Scroller): number =>
  Math.min(100, Math.round((100 * (scrollTop + clientHeight)) / Math.max(scrollHeight, 1)));

export interface ScrollWatch {
  /** Looks now at what was scrolled since; what a page view's end asks for. */
  look(): void;
  /** Forgets what was scrolled since: it was on another page view. */
  forget(): void;
  end(): void;
}

/** Tells the depth after the page, or the main part of it, was scrolled. */
export const watchScroll = (seen: (depth: number) => void): ScrollWatch => {
  const ends = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let scrolled: EventTarget | null = null;
  const forget = () => {
    clearTimeout(timer);
    timer = undefined;
    scrolled = null;
  };
  const look = () => {
    const scroller = scrolled instanceof Element ? scrolled : scrolled && (document.scrollingElement ?? document.documentElement);
    forget();
    if (scroller && scroller.clientHeight >= innerHeight * MAIN_SHARE) seen(depthOf(scroller));
  };
  document.addEventListener(
    "scroll",
    ({ target }) => {
      scrolled = target;
      timer ??= setTimeout(look, LOOK_AFTER);
    },
    { capture: true, passive: true, signal: ends.signal },
  );
  return {
    look,
    forget,
    end() {
      forget();
      ends.abort();
    },
  };
};
