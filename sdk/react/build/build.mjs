/** Builds what is published, as ESM and as CJS. React and the browser SDK stay outside: the page has them already. */
import { build } from "esbuild";
import { rm } from "node:fs/promises";

const root = new URL("..", import.meta.url).pathname;

await rm(`${root}dist`, { recursive: true, force: true });
for (const [format, extension] of [["esm", ".js"], ["cjs", ".cjs"]]) {
  await build({
    absWorkingDir: root,
    entryPoints: ["src/index.ts"],
    outfile: `dist/index${extension}`,
    bundle: true,
    packages: "external",
    format,
    target: "es2022",
    jsx: "automatic",
    minify: true,
    legalComments: "none",
    logLevel: "warning",
    // A bundle keeps no directive of its parts. Next.js needs it: hooks and effects are for the client only.
    banner: { js: '"use client";' },
  });
}
