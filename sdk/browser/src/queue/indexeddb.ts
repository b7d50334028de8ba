/** The store in IndexedDB: one record per event. */
import type { Store } from "./store.ts";

export const openIndexedDb = (name: string): Promise<Store> =>
  new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore("events", { keyPath: "i" });
    request.onerror = reject;
    request.onsuccess = () => {
      const database = request.result;
      // Whoever deletes the database must not wait for us.
      database.onversionchange = () => database.close();
      resolve(inDatabase(database));
    };
  });

const inDatabase = (database: IDBDatabase): Store => {
  const run = <T>(call: (events: IDBObjectStore) => IDBRequest<T> | void): Promise<T> =>
    new Promise((resolve, reject) => {
      const transaction = database.transaction("events", "readwrite");
      const request = call(transaction.objectStore("events"));
      transaction.oncomplete = () => resolve(request?.result as T);
      transaction.onabort = reject;
      // Begun now, so that it ends well even if the page is gone in a moment.
      transaction.commit();
    });
  return {
    add_: (entries) => run((events) => entries.forEach((entry) => events.put(entry))),
    remove_: (ids) => run((events) => ids.forEach((id) => events.delete(id))),
    load_: () => run<unknown[]>((events) => events.getAll()),
    close_: () => database.close(),
  };
};
