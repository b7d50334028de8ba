/** A worker that loads the SDK as a script. */
importScripts("/dist/obc.js");
onmessage = async ({ data: { config, name, count } }) => {
  const client = new OpenBioCureAnalytics(config);
  await client.initialize();
  for (let n = 0; n < count; n++) client.track(name, { n });
  postMessage(await client.flush(20_000));
};
