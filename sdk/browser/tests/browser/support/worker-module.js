/** A worker that imports the SDK as a module. */
import { OpenBioCureAnalytics } from "/dist/index.js";

onmessage = async ({ data: { config, name, count } }) => {
  const client = new OpenBioCureAnalytics(config);
  await client.initialize();
  for (let n = 0; n < count; n++) client.track(name, { n });
  postMessage(await client.flush(20_000));
};
