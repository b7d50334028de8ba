/** Which errors are the same one: by name, by the message without what varies in it, and by where it was thrown. */

/** As much of a message, and of a stack's line, as is looked at. */
const LOOKED_AT = 500;

/** What is in the page's own words only, e.g. `Cannot read "…" of item N`. */
export const shapeOf = (message: string): string =>
  message
    .slice(0, LOOKED_AT)
    .replace(/\b[a-z][a-z\d+.-]*:\/\/[^\s'"`)]+/gi, "URL")
    .replace(/(["'`“‘])(?:(?!["'`”’]).)*["'`”’]/g, "…")
    .replace(/\b(?=[a-f\d-]*\d)[a-f\d][a-f\d-]{7,}\b/gi, "ID")
    .replace(/\d+(?:\.\d+)?/g, "N")
    .replace(/\s+/g, " ")
    .trim();

/** Where a stack begins: `function file:line` without origin and query, in every browser's form; empty without one. */
export const topFrame = (stack: string | undefined): string => {
  for (const line of (stack ?? "").slice(0, 4_000).split("\n")) {
    // Chromium: `at name (url:1:2)` or `at url:1:2`; Firefox and Safari: `name@url:1:2`.
    const found = /^\s*(?:at\s+(?:(.*?)\s+\()?|(.*?)@)(.+?):(\d+):\d+\)?$/.exec(line.slice(0, LOOKED_AT));
    if (found) return `${found[1] ?? found[2] ?? ""} ${withoutQuery(found[3]!)}:${found[4]}`.trim();
  }
  return "";
};

/** An address without what may be private in it. */
export const withoutQuery = (url: string): string => url.replace(/[?#].*$/, "");

/** FNV-1a, 32 bits: short, and the same on every page and visit. */
const hash = (text: string): string => {
  let sum = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  return (sum >>> 0).toString(16).padStart(8, "0");
};

export const groupOf = (name: string, message: string, stack: string | undefined, source = ""): string =>
  hash([name, shapeOf(message), topFrame(stack) || withoutQuery(source)].join("\n"));
