/** UUIDv7 (RFC 9562): ids that begin with the time sort as they were made, which queues and databases like. */
export const uuid7 = (now = Date.now()): string => {
  const random = crypto.getRandomValues(new Uint8Array(36));
  const time = now.toString(16).padStart(12, "0");
  return (time.slice(0, 8) + "-" + time.slice(8) + "-7xxx-yxxx-xxxxxxxxxxxx").replace(/[xy]/g, (letter, at: number) =>
    (letter === "x" ? random[at]! & 15 : (random[at]! & 3) | 8).toString(16),
  );
};
