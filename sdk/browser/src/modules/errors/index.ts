/** Reports what nobody caught: errors, rejected promises and, if asked for, files that could not be loaded. */
import { guard } from "../../page/guard.ts";
import type { Module, Properties } from "../../types.ts";
import { createCaps } from "./caps.ts";
import { groupOf, withoutQuery } from "./group.ts";

export interface ErrorsOptions {
  /** Most events of one group on one page, default 5. What is above is counted. */
  per_group?: number;
  /** Most events on one page, default 50. */
  per_page?: number;
  /** Also images, scripts, styles and media that could not be loaded, default false. */
  resources?: boolean;
  /** Errors that are not reported: part of `Name: message`, or a pattern. */
  ignore?: (string | RegExp)[];
}

/** Browsers say this when nothing is wrong. */
const HARMLESS = /^ResizeObserver loop/;
/** What an extension does in the page is not the page's. */
const EXTENSION = /^(?:chrome|moz|safari|safari-web|ms-browser)-extension:/;
/** What a browser says of an error in a script of another origin that was loaded without `crossorigin`: nothing. */
const FOREIGN = /^Script error\.?$/;

interface Problem {
  name: string;
  message: string;
  stack: string | undefined;
}

const text = (value: unknown): string | undefined => (typeof value === "string" && value ? value : undefined);

/** What an object is that is no error: its values may be private. */
const keysOf = (thrown: unknown) =>
  typeof thrown === "object" && thrown ? `an object with ${Object.keys(thrown).slice(0, 10).join(", ") || "no keys"}` : String(thrown);

/** Anything may be thrown, with any members. */
const describe = (thrown: unknown, said = ""): Problem => {
  const { name, message, stack } = Object(thrown ?? {}) as Record<keyof Problem, unknown>;
  const [, prefix, rest] = /^(?:Uncaught )?(?:(?:\(in promise\) )?(\w*Error): )?([^]*)$/.exec(said)!;
  return {
    name: text(name) ?? prefix ?? "Error",
    message: text(message) ?? (rest || keysOf(thrown)),
    stack: text(stack),
  };
};

const errors: Module = (host, options) => {
  const { per_group = 5, per_page = 50, resources = false, ignore = [] } = Object(options) as ErrorsOptions;
  const caps = createCaps(per_group, per_page);
  const ends = new AbortController();
  /** Reporting may itself fail; that must not be reported again. */
  let busy = false;
  const safely = <Given>(call: (given: Given) => void) =>
    guard(host.debug, (given: Given) => {
      if (busy) return;
      busy = true;
      try {
        call(given);
      } finally {
        busy = false;
      }
    });

  const report = (problem: Problem, context: Properties & { source?: string }, most?: number) => {
    const said = `${problem.name}: ${problem.message}`;
    const ignored = ignore.some((one) => (typeof one === "string" ? said.includes(one) : said.search(one) >= 0));
    if (ignored || HARMLESS.test(problem.message) || EXTENSION.test(context.source ?? "")) return;
    const group = groupOf(problem.name, problem.message, problem.stack, context.source);
    const occurrences = caps.count(group, most);
    if (occurrences) host.trackError(problem, { ...context, handled: false, group, occurrences });
  };

  const sumUp = safely(() => {
    const summary = caps.take();
    // Not of the category `error`: it is no error itself.
    if (summary) host.track("errors_suppressed", { ...summary }, "diagnostics");
  });

  const onError = (event: ErrorEvent) => {
    const { error, message, filename, lineno, colno } = event;
    // Nothing is known of it, so that one tells as much as many.
    if (!filename && FOREIGN.test(message)) return report({ name: "ScriptError", message, stack: undefined }, { foreign: true }, 1);
    report(describe(error, message), { source: withoutQuery(filename), line: lineno, column: colno });
  };

  const onResource = (element: Element) => {
    const address = (element as Partial<HTMLImageElement & HTMLLinkElement>).currentSrc || element.getAttribute("src") || element.getAttribute("href");
    const source = withoutQuery(new URL(address ?? "", document.baseURI).href).slice(0, 500);
    const kind = element.localName;
    report({ name: "ResourceError", message: `could not load ${kind} ${source}`, stack: undefined }, { source, element_type: kind });
  };

  addEventListener(
    "error",
    safely((event: Event) => {
      if (event instanceof ErrorEvent) onError(event);
      else if (resources && globalThis.Element && event.target instanceof Element) onResource(event.target);
    }),
    // Resources' errors do not bubble.
    { capture: true, signal: ends.signal },
  );
  addEventListener(
    "unhandledrejection",
    safely((event: PromiseRejectionEvent) => {
      // Prevented: the page has dealt with it.
      if (!event.defaultPrevented) report(describe(event.reason), { unhandled_rejection: true });
    }),
    ends,
  );
  addEventListener("pagehide", sumUp, ends);
  globalThis.document?.addEventListener("visibilitychange", () => document.hidden && sumUp(undefined), ends);
  return () => {
    sumUp(undefined);
    ends.abort();
  };
};

export default errors;
