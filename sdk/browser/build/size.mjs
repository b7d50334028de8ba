/** Prints the size of every built file of the package it is run in, and fails when one is above its budget. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const root = pathToFileURL(`${process.cwd()}/`);
const { BUDGETS } = await import(new URL("build/budgets.mjs", root));
const dist = new URL("dist/", root);
const files = readdirSync(dist, { recursive: true })
  .filter((name) => /\.c?js$/.test(name) && statSync(new URL(name, dist)).isFile())
  .sort();

let failed = false;
console.log("file".padEnd(28), "bytes".padStart(8), "gzip -9".padStart(8), "budget".padStart(8));
for (const name of new Set([...files, ...Object.keys(BUDGETS)])) {
  const budget = BUDGETS[name];
  if (!files.includes(name)) {
    console.error(`${name} has a budget but was not built`);
    failed = true;
    continue;
  }
  const bytes = readFileSync(new URL(name, dist));
  const zipped = gzipSync(bytes, { level: 9 }).length;
  const over = budget !== undefined && zipped > budget;
  failed ||= over;
  console.log(
    name.padEnd(28),
    String(bytes.length).padStart(8),
    String(zipped).padStart(8),
    String(budget ?? "").padStart(8),
    over ? "OVER BUDGET" : "",
  );
}
process.exit(failed ? 1 : 0);
