/** How much the browser lets a page keep. */

/** However full the disk is, this much is queued: it can be sent from memory. */
const LEAST_BYTES = 60_000;

/** As much of `most` as fits into half of what is left for the site. */
export const roomFor = async (most: number, { storage }: { storage?: StorageManager } = navigator): Promise<number> => {
  const { quota = NaN, usage = NaN } = (await storage?.estimate?.().catch(() => undefined)) ?? {};
  const share = (quota - usage) / 2;
  // What is not known limits nothing.
  return share < most ? Math.min(most, Math.max(LEAST_BYTES, share)) : most;
};
