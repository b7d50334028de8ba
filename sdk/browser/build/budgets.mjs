/** Most bytes of a built file after gzip -9. A lazy module adds its own line. */
export const BUDGETS = {
  "obc.js": 6144,
  "device.js": 1024,
  "fallback.js": 1280,
};
