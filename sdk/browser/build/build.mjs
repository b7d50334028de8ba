/** Builds what is published: ESM, CJS, one file for a script tag, and every lazy file for each of them. */
import { build } from "esbuild";
import { readdirSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { minify } from "terser";

const root = new URL("..", import.meta.url).pathname;
const target = ["chrome108", "firefox108", "safari16.2"];

/** Private members end in `_` and get short names, the same ones in every file: files pass such objects around. */
const privateMembers = { mangleProps: /[a-z]_$/i, mangleCache: {} };

/** A file `modules/<name>.ts`, or a folder with an index. */
const modules = readdirSync(`${root}src`, { recursive: true }).filter((path) => /^modules\/([^/]+|[^/]+\/index)\.ts$/.test(path));

/** Built file of a lazily imported one, seen from `dist/`. */
const builtName = (path) => path.replace(/\/index\.ts$/, ".ts").replace(/\.ts$/, "");

/** Leaves `import("./x.ts")` alone and names the built file, so that a page's bundler makes a chunk of it. */
const lazyFiles = (extension) => ({
  name: "lazy-files",
  setup(plugin) {
    plugin.onResolve({ filter: /^\.\/(modules|fallback|device)\/.*\.ts$/ }, ({ kind, path }) =>
      kind === "dynamic-import" ? { path: builtName(path) + extension, external: true } : undefined,
    );
  },
});

const bundle = async (source, format, extension = ".js", output = builtName(source)) => {
  const { outputFiles, mangleCache } = await build({
    absWorkingDir: root,
    entryPoints: [`src/${source}`],
    bundle: true,
    write: false,
    format,
    target,
    minify: true,
    legalComments: "none",
    logLevel: "warning",
    plugins: [lazyFiles(extension)],
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false, alwaysStrict: false } },
    ...privateMembers,
  });
  privateMembers.mangleCache = mangleCache;
  const { code } = await minify(outputFiles[0].text, {
    ecma: 2022,
    module: format === "esm",
    toplevel: format !== "iife",
    compress: { passes: 5, unsafe: true, unsafe_arrows: true, unsafe_comps: true, unsafe_undefined: true, pure_getters: true, reduce_funcs: false, sequences: false },
    format: { ascii_only: true },
  });
  const path = `${root}dist/${output}${extension}`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, code);
};

await rm(`${root}dist`, { recursive: true, force: true });
// One after the other: the names are handed on, and the script's are the first and shortest.
await bundle("script.ts", "iife", ".js", "obc");
for (const source of ["index.ts", "fallback/index.ts", "device/index.ts", ...modules]) {
  await bundle(source, "esm");
  await bundle(source, "cjs", ".cjs");
}
