/** What docs/sdk-browser.md says, taken apart. */
import { readFileSync } from "node:fs";

const text = readFileSync(new URL("../../../../docs/sdk-browser.md", import.meta.url), "utf8");

export interface Example {
  /** Examples of one project see each other's files: one per way to start, and one for all the rest. */
  project: string;
  language: string;
  /** As its first line says, or empty. */
  file: string;
  code: string;
}

const headingBefore = (level: string, at: number): string =>
  text.slice(0, at).match(new RegExp(`^${level} .*$`, "gm"))?.at(-1)?.slice(level.length + 1) ?? "";

export const examples: Example[] = [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(({ index, 1: language, 2: code }) => ({
  project: headingBefore("##", index) === "Start" ? headingBefore("###", index) : "rest",
  language: language!,
  file: /^(?:\/\/|<!--) (\S+)/.exec(code!)?.[1] ?? "",
  code: code!,
}));

/** The first cells of every table's rows. */
export const firstCells: string = [...text.matchAll(/^\| ([^|]*) \|/gm)].map((row) => row[1]).join("\n");

/** The second cells: in the table of modules, its options. */
export const optionCells: string = [...text.matchAll(/^\| [^|]*\| ([^|]*) \|/gm)].map((row) => row[1]).join("\n");
