/** docs/sdk-browser.md: its examples are programs that hold against the built types, and it names all there is. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { compileScript, parse } from "vue/compiler-sfc";
import { type Example, examples, firstCells, optionCells } from "./documentation.ts";

const root = new URL("../../../..", import.meta.url).pathname;
// In there, the examples find the packages as a page's own build does.
const folder = mkdtempSync(join(root, "node_modules/.documentation-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Next.js itself would be a hundred megabytes, for one function. */
const NEXT = 'declare module "next/navigation" { export function usePathname(): string; }\n';

const sourceOf = ({ language, code, file }: Example): [file: string, code: string] =>
  language === "vue" ? [`${file}.ts`, compileScript(parse(code).descriptor, { id: file }).content] : [file, code];

const write = (project: string, file: string, code: string): string => {
  const path = join(folder, project, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, code);
  return path;
};

const typed = examples.filter(({ language }) => ["ts", "tsx", "vue"].includes(language));

test("there are examples for every way to start, and each says which file it is", () => {
  expect([...new Set(examples.map(({ project }) => project))]).toEqual(["Script tag", "npm", "React", "Next.js", "Vue", "rest"]);
  expect(typed.filter(({ file }) => !file)).toEqual([]);
});

test.for([...new Set(typed.map(({ project }) => project))])("the examples of %s hold against the built types", { timeout: 60_000 }, async (project) => {
  // given a project with these files
  const files = typed.filter((example) => example.project === project).map((example) => write(project, ...sourceOf(example)));
  files.push(write(project, "next.d.ts", NEXT));
  const compilerOptions = { jsx: "react-jsx", noEmit: true, lib: ["es2022", "dom", "dom.iterable"], types: ["node"], strict: true };
  write(project, "tsconfig.json", JSON.stringify({ extends: join(root, "tsconfig.base.json"), compilerOptions, files }));
  // when its types are checked
  const tsc = join(root, "node_modules/.bin/tsc");
  const { stdout } = await promisify(execFile)(tsc, ["-p", join(folder, project)]).catch((error: { stdout: string }) => error);
  // then nobody complains
  expect(stdout).toBe("");
});

const membersOf = (name: string, file = "types"): string[] => {
  const types = readFileSync(join(root, `sdk/browser/dist/types/${file}.d.ts`), "utf8");
  const [, body] = new RegExp(`^export interface ${name} [^]*?\\{\n([^]*?)^\\}`, "m").exec(types)!;
  return [...body!.matchAll(/^ {4}(?:readonly )?(\w+)\??[:(<]/gm)].map((member) => member[1]!);
};

test("every configuration key is in the table", () => {
  const keys = membersOf("AnalyticsConfig");
  expect(keys).toContain("before_send");
  expect(keys.filter((key) => !firstCells.includes(`\`${key}\``))).toEqual([]);
});

test("every method is in the table", () => {
  const methods = [...membersOf("ModuleHost"), ...membersOf("AnalyticsClient")].filter((name) => name !== "config");
  expect(methods).toContain("setConsent");
  expect(methods.filter((method) => !firstCells.includes(`\`${method}(`))).toEqual([]);
});

test.for([
  ["AutocaptureOptions", "modules/autocapture/index"],
  ["WebVitalsOptions", "modules/web-vitals"],
  ["ErrorsOptions", "modules/errors/index"],
  ["EngagementOptions", "modules/engagement/index"],
] as const)("every key of %s is in the table of modules", ([name, file]) => {
  const keys = membersOf(name, file);
  expect(keys).not.toEqual([]);
  expect(keys.filter((key) => !optionCells.includes(`\`${key}\``))).toEqual([]);
});
