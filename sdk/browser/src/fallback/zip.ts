/** gzip for batches over REST, where the browser can and it pays. */

/** Below this, gzip costs more than it saves. */
const WORTH_ZIPPING = 1_024;

/** A request's body, and the header that says what it is. */
export type Zipped = [body: BodyInit, headers?: Record<string, string>];

export const zip = async (text: string): Promise<Zipped> => {
  if (text.length < WORTH_ZIPPING || !globalThis.CompressionStream) return [text];
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return [await new Response(stream).blob(), { "Content-Encoding": "gzip" }];
};
