/** Most bytes of a built file after gzip -9. A lazy module adds its own line. */
export const BUDGETS = {
  "obc.js": 6144,
  "index.js": 6200,
  "device.js": 1024,
  "fallback.js": 1280,
  "modules/autocapture.js": 4096,
  "modules/web-vitals.js": 4096,
  "modules/errors.js": 2048,
  "modules/engagement.js": 2048,
};
