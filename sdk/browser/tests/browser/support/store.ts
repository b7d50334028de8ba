/** The browser's storage and clock: looked into, and made to fail, from outside of the SDK. */
import type { BrowserContext, CDPSession, Page } from "@playwright/test";

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

/** A limit ends with the session that has set it. */
const limits = new WeakMap<Page, CDPSession>();

/** What the browser gives the site: so little that a write fails, or without a size as much as it likes. */
export const limitStorage = async (context: BrowserContext, page: Page, quotaSize?: number): Promise<void> => {
  const devtools = limits.get(page) ?? (await context.newCDPSession(page));
  limits.set(page, devtools);
  await devtools.send("Storage.overrideQuotaForOrigin", { origin: new URL(page.url()).origin, ...(quotaSize !== undefined && { quotaSize }) });
};

type Broken = Partial<Pick<IDBObjectStore, "put">> & { whole?: IDBObjectStore["put"] };

/** From now on nothing can be written in this page. */
export const breakStore = (page: Page): Promise<void> =>
  page.evaluate(() => {
    const broken = IDBObjectStore.prototype as Broken;
    broken.whole ??= broken.put!;
    broken.put = () => {
      throw new DOMException("broken", "UnknownError");
    };
  });

export const mendStore = (page: Page): Promise<void> =>
  page.evaluate(() => {
    const broken = IDBObjectStore.prototype as Broken;
    if (broken.whole) broken.put = broken.whole;
  });

/** What the user does who clears the site's data. */
export const clearStore = async (context: BrowserContext, page: Page): Promise<void> => {
  const devtools = await context.newCDPSession(page);
  await devtools.send("Storage.clearDataForOrigin", { origin: new URL(page.url()).origin, storageTypes: "all" });
  await devtools.detach();
};

/** Sets the page's clock so many hours off the true time; it goes on from there. */
export const setClock = (page: Page, hours: number): Promise<void> =>
  page.evaluate((by) => {
    const clock = Date as DateConstructor & { real?: () => number };
    const real = (clock.real ??= Date.now);
    Date.now = () => real() + by * 3_600_000;
  }, hours);
