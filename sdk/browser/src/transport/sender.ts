/** Delivers the queue: over a WebSocket while there is one, else over REST. At most one tab has one that runs. */
import type { Options } from "../options.ts";
import { mark, type Queue, State } from "../queue/queue.ts";
import type { LoadFallback, Stats } from "../types.ts";
import { backoff } from "./backoff.ts";
import { handOver, KEEPALIVE_BYTES, post } from "./rest.ts";
import { openSocket, type Socket, type SocketOwner } from "./socket.ts";

/** A frame may have 1 MiB. */
const BATCH_BYTES = 500_000;
/** A key that is refused may be valid later; nobody but time can tell. */
const REFUSED_PAUSE = 300_000;
/** A longer wait that a server asks for is a mistake, and no timer could hold it. */
const LONGEST_PAUSE = 86_400_000;

type Timer = ReturnType<typeof setTimeout> | undefined;

export interface Sender {
  status_(): Stats["connectionStatus"];
  start_(): void;
  stop_(): void;
  /** Sends what may be sent now; called whenever that may have changed. */
  pump_(): void;
  /** The network is back, or somebody cannot wait: tries at once. */
  hurry_(): void;
  /** The page may be gone in a moment: gives the network what it takes, while everything stays queued. */
  handOver_(): Promise<void>;
}

export const createSender = (
  options: Options,
  queue: Queue,
  load: LoadFallback,
  { settled_, rules_ }: Pick<SocketOwner, "settled_" | "rules_">,
): Sender => {
  let { write_key, batch_size, batch_url, websocket_url } = options;
  let socket: Socket | undefined;
  let running = false;
  let posting = false;
  let urgent = false;
  /** Connections in a row that were never ready. */
  let failures = 0;
  /** Batches in a row that brought nothing. */
  let refusals = 0;
  let pausedUntil = 0;
  let connectTimer: Timer;
  let pumpTimer: Timer;
  let flushTimer: Timer;
  /** Events of a batch; halved while the server finds batches too big or cannot read them. */
  let limit = batch_size;

  const idle = () => !(running && navigator.onLine);

  const pump = () => {
    if (idle()) return;
    const wait = pausedUntil - performance.now();
    clearTimeout(pumpTimer);
    if (wait > 0) {
      pumpTimer = setTimeout(pump, wait);
      return;
    }
    // While batches are being halved, it must be known which one an answer is about.
    while (socket?.hasRoom_(limit < batch_size ? 1 : batch_size)) {
      const items = queue.peek_(limit, BATCH_BYTES);
      if (!items.length) return;
      socket.send_(items);
    }
    if (!socket?.isReady_() && (!websocket_url || failures >= options.max_retries)) void postBatch();
  };

  const hurry = () => {
    urgent = true;
    connect();
    pump();
  };

  const pause = (milliseconds: number) => {
    pausedUntil = performance.now() + milliseconds;
    pump();
  };

  const owner: SocketOwner = {
    rules_,
    ready_() {
      failures = 0;
      pump();
    },
    settled_(items, results) {
      // One that answers nothing must not be asked again at once.
      if (!results?.[0]) return owner.retry_();
      refusals = 0;
      limit = Math.min(batch_size, limit * 2);
      settled_(items, results);
      pump();
    },
    // What is no number (a date, nothing) leaves the backoff.
    retry_: (after) => pause(Math.min(after || 0, LONGEST_PAUSE) + backoff(refusals++)),
    unreadable_(items, code) {
      if (items.length === 1) settled_(items, [{ result: "rejected", code }]);
      else limit = (items.length || limit) >> 1 || 1;
      pump();
    },
    closed_(code) {
      const wait = backoff(failures);
      if (!socket?.isReady_()) failures++;
      socket = undefined;
      if (!running) return;
      clearTimeout(connectTimer);
      connectTimer = setTimeout(connect, (code === 4401 || code === 4403 ? REFUSED_PAUSE : 0) + wait);
      pump();
    },
  };

  const connect = () => {
    if (socket || !websocket_url || idle()) return;
    try {
      socket = openSocket(websocket_url, write_key, owner);
    } catch {
      websocket_url = ""; // an address that is none, or a page that may not: REST remains
    }
  };

  const postBatch = async () => {
    const items = queue.peek_(limit, BATCH_BYTES);
    urgent &&= queue.count_() > 0;
    if (posting || !items.length) return;
    if (items.length < limit && !urgent) {
      flushTimer ??= setTimeout(() => {
        flushTimer = undefined;
        hurry();
      }, options.flush_interval);
      return;
    }
    posting = true;
    mark(items, State.Sent);
    const { status_, results_, retryAfter_ } = await post(batch_url, write_key, items, load, queue.count_);
    mark(items, State.Free);
    posting = false;
    if (status_ === 200) owner.settled_(items, results_);
    else if (status_ === 401 || status_ === 403) pause(REFUSED_PAUSE);
    else if (status_ === 400 || status_ === 413) owner.unreadable_(items, "http_" + status_);
    else owner.retry_(retryAfter_);
  };

  return {
    status_: () => (socket ? (socket.isReady_() ? "connected" : "connecting") : "disconnected"),
    start_() {
      running = true;
      hurry();
    },
    stop_() {
      running = false;
      [connectTimer, pumpTimer, flushTimer].forEach(clearTimeout);
      flushTimer = undefined;
      socket?.end_();
    },
    pump_: pump,
    hurry_: hurry,
    async handOver_() {
      const items = queue.peek_(1_000, KEEPALIVE_BYTES, (item) => item.state_ < State.Handed);
      // Whoever asks for a pause gets it in this moment as well.
      if (pausedUntil > performance.now() || !items.length) return;
      mark(items, State.Handed);
      const { results_ = [], retryAfter_ } = await handOver(batch_url, write_key, items);
      mark(items, State.Free);
      settled_(items, results_);
      if (retryAfter_) owner.retry_(retryAfter_);
      else pump();
    },
  };
};
