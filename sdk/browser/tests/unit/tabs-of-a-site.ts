/** What tabs of one site share in unit tests: locks, and channels whose messages arrive when the test lets them. */

/** Locks as browsers have them: the next one gets the lock when the last one has given it away. */
export const createLocks = () => {
  const waiting: { hold: () => Promise<unknown>; signal: AbortSignal | undefined }[] = [];
  let held = false;
  const next = () => {
    const turn = waiting.shift();
    if (!turn) return;
    if (turn.signal?.aborted) return next();
    held = true;
    void turn.hold().then(() => {
      held = false;
      next();
    });
  };
  return {
    request(_name: string, { signal }: { signal?: AbortSignal }, hold: () => Promise<unknown>) {
      waiting.push({ hold, signal });
      if (!held) next();
      return new Promise(() => {});
    },
  };
};

/** What is said between tabs. While `silent`, it waits for `hearAll`. */
export const talk = { silent: false, unheard: [] as (() => void)[] };

const channels = new Set<Channel>();

export class Channel {
  onmessage: ((message: { data: unknown }) => void) | null = null;
  constructor() {
    channels.add(this);
  }
  postMessage(data: unknown): void {
    const copy = structuredClone(data);
    for (const other of channels) if (other !== this) talk.unheard.push(() => channels.has(other) && other.onmessage?.({ data: copy }));
    if (!talk.silent) hearAll();
  }
  close(): void {
    channels.delete(this);
  }
}

export const hearAll = (): void => talk.unheard.splice(0).forEach((hear) => hear());

export const endTalk = (): void => {
  channels.clear();
  Object.assign(talk, { silent: false, unheard: [] });
};
