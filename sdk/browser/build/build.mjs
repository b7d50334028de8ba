/** Builds what is published: ESM, CJS, one file for a script tag, and every lazy module as a file of its own. */
import { build } from "esbuild";
import { readdir, rm } from "node:fs/promises";

const root = new URL("..", import.meta.url).pathname;
const dist = `${root}dist`;

/** Private members end in `_`; they get short names. The public surface never does. */
const common = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  sourcemap: true,
  target: ["chrome108", "firefox108", "safari16.2"],
  mangleProps: /[a-z]_$/i,
  legalComments: "none",
  logLevel: "warning",
};

const modules = (await readdir(`${root}src/modules`, { withFileTypes: true }))
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
  .map((entry) => entry.name.slice(0, -3));

/** Leaves `import("./modules/x.ts")` alone and names the built file, so that a page's bundler makes a chunk of it. */
const lazyModules = (extension) => ({
  name: "lazy-modules",
  setup(plugin) {
    plugin.onResolve({ filter: /^\.\/modules\// }, ({ path }) => ({
      path: path.replace(/\.ts$/, extension),
      external: true,
    }));
  },
});

await rm(dist, { recursive: true, force: true });
await Promise.all([
  build({ ...common, entryPoints: ["src/index.ts"], format: "esm", outfile: "dist/index.js", plugins: [lazyModules(".js")] }),
  build({ ...common, entryPoints: ["src/index.ts"], format: "cjs", outfile: "dist/index.cjs", plugins: [lazyModules(".cjs")] }),
  build({ ...common, entryPoints: ["src/script.ts"], format: "iife", outfile: "dist/obc.js" }),
  ...modules.flatMap((name) => [
    build({ ...common, entryPoints: [`src/modules/${name}.ts`], format: "esm", outfile: `dist/modules/${name}.js` }),
    build({ ...common, entryPoints: [`src/modules/${name}.ts`], format: "cjs", outfile: `dist/modules/${name}.cjs` }),
  ]),
]);
