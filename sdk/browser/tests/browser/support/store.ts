/** The SDK's own database in the browser, looked into from outside. */
import type { BrowserContext, Page } from "@playwright/test";

/** Records in the SDK's database. */
export const storedInBrowser = (page: Page): Promise<number> =>
  page.evaluate(async () => {
    const [info] = (await indexedDB.databases()).filter(({ name }) => name!.startsWith("obc_"));
    if (!info) return 0;
    return new Promise<number>((resolve, reject) => {
      const request = indexedDB.open(info.name!);
      request.onerror = reject;
      request.onsuccess = () => {
        const count = request.result.transaction("events").objectStore("events").count();
        count.onsuccess = () => {
          request.result.close();
          resolve(count.result);
        };
      };
    });
  });

/** Puts a record there, as whoever has written junk would. */
export const editStore = (page: Page, record: object): Promise<void> =>
  page.evaluate(async (put) => {
    const [info] = (await indexedDB.databases()).filter(({ name }) => name!.startsWith("obc_"));
    await new Promise<void>((resolve, reject) => {
      const request = indexedDB.open(info!.name!);
      request.onerror = reject;
      request.onsuccess = () => {
        const transaction = request.result.transaction("events", "readwrite");
        transaction.objectStore("events").put(put);
        transaction.oncomplete = () => {
          request.result.close();
          resolve();
        };
      };
    });
  }, record);

/** What the browser gives the site: so little that a write fails, or as much as it likes. */
export const limitStorage = async (context: BrowserContext, page: Page, quotaSize?: number): Promise<void> => {
  const devtools = await context.newCDPSession(page);
  await devtools.send("Storage.overrideQuotaForOrigin", { origin: new URL(page.url()).origin, ...(quotaSize !== undefined && { quotaSize }) });
  // The limit lasts as long as this session: it is not detached.
};
