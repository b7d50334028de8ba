/** Where there is no page: a worker delivers, and a server that renders pages does nothing. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "./support/world.ts";

for (const [kind, type] of [["classic", "classic"], ["module", "module"]] as const) {
  test(`a ${kind} worker delivers, with modules that need a page left out`, async ({ world, context }) => {
    // given a page that has no client itself
    const page = await context.newPage();
    await page.goto(world.proxy.url);
    // when a worker tracks
    const modules = { errors: true, autocapture: true, engagement: true, "web-vitals": true };
    const config = { endpoint: `${world.proxy.url}/api/analytics`, write_key: world.stack.writeKey, modules };
    const delivered = await page.evaluate(
      ([kind, type, message]) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(`/worker-${kind}.js`, { type });
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(message));
          worker.postMessage(message);
        }),
      [kind, type, { config, name: world.eventName, count: 20 }] as const,
    );
    // then everything arrives
    expect(delivered).toBe(true);
    const stored = await world.stack.stored(world.eventName);
    expect([...stored.entries()].sort(([a], [b]) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => [n, 1]));
  });
}

test("a worker that is made of text throws nothing, though lazy files cannot be found from there", async ({ world, context }) => {
  const page = await context.newPage();
  await page.goto(world.proxy.url);
  const config = { endpoint: `${world.proxy.url}/api/analytics`, write_key: world.stack.writeKey, modules: { errors: true } };
  const delivered = await page.evaluate(
    async (message) => {
      const text = (await (await fetch("/worker-classic.js")).text()).replace("/dist/", `${location.origin}/dist/`);
      const worker = new Worker(URL.createObjectURL(new Blob([text])));
      return new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(message));
        worker.postMessage(message);
      });
    },
    { config, name: world.eventName, count: 5 },
  );
  expect(delivered).toBe(true);
  expect((await world.stack.stored(world.eventName)).size).toBe(5);
});

const USE = `
  const client = new OpenBioCureAnalytics({ endpoint: "https://a.example/api", write_key: "wk_live_x", user_id: "u1", enable_debug: true,
    modules: { autocapture: true, errors: true, engagement: true, "web-vitals": true } });
  client.track("before");
  await client.initialize();
  client.trackPageView("home");
  client.trackAction("click", "button", "buy");
  client.trackPerformance("LCP", 1);
  client.trackError(new Error("x"));
  client.identify("u2");
  client.register({ plan: "pro" });
  client.setConsent("denied");
  client.optIn();
  client.onConfig(() => {});
  client.reset();
  await client.flush(1);
  client.destroy();
  process.stdout.write(JSON.stringify(client.getStats()));
`;
const dist = new URL("../../dist/", import.meta.url).pathname;
for (const [form, flag, load] of [
  ["ESM", "module", `import { OpenBioCureAnalytics } from "${dist}index.js";\n${USE}`],
  ["CJS", "commonjs", `const { OpenBioCureAnalytics } = require("${dist}index.cjs");\n(async () => {${USE}})();`],
] as const) {
  test(`on a server (${form}) every call does nothing, throws nothing and keeps nothing alive`, async () => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [`--input-type=${flag}`, "--eval", load], { timeout: 20_000 });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toMatchObject({ tracked: 0, connectionStatus: "disconnected", storageStats: { eventCount: 0 } });
  });
}
