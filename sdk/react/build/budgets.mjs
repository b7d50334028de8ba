/** Most bytes of a built file after gzip -9. */
export const BUDGETS = {
  "index.js": 1536,
};
