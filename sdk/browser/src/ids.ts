/** UUIDv7 (RFC 9562): ids that begin with the time sort as they were made, which queues and databases like. */
export const uuid7 = (now = Date.now()): string => {
  const random = crypto.getRandomValues(new Uint8Array(36));
  const time = now.toString(16).padStart(12, "0").replace(/.{8}/, "$&-");
  // A 0 or a 1 becomes any digit, the 8 one of 8, 9, a and b (the variant); the 7 (the version) stays.
  return (
    time +
    "-7000-8000-100000000000".replace(/[018]/g, (digit, at: number) => (+digit ^ (random[at]! & (15 >> (+digit / 4)))).toString(16))
  );
};
