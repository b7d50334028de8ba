/** One WebSocket (docs/websocket.md): as many unanswered batches as the server grants; nothing is sent before `ready`. */
import { wireBatch } from "../queue/entry.ts";
import { type Item, mark, State } from "../queue/queue.ts";
import type { TenantRules } from "../types.ts";

const CHECK = 5_000;
const HEARTBEAT = 30_000;
const ACK_DEADLINE = 20_000;
/** For `ready`, and for the answer to a heartbeat. */
const ANSWER_DEADLINE = 10_000;

export interface Result {
  result: string;
  code?: string;
  field?: string;
  message?: string;
}

export interface SocketOwner {
  ready_(): void;
  rules_(rules: TenantRules): void;
  /** Without results, or with fewer than items, the rest is as if it had not been sent. */
  settled_(items: Item[], results: Result[] | undefined): void;
  /** Milliseconds that the server asked to wait. */
  retry_(after?: number): void;
  /** The server cannot read these; without any, one of several batches. */
  unreadable_(items: Item[], code: string): void;
  /** `code` is the close code, 0 when we gave up waiting. What had no answer is free to be sent again. */
  closed_(code: number): void;
}

export interface Socket {
  isReady_(): boolean;
  /** Whether another batch may be sent, with at most so many unanswered. */
  hasRoom_(most: number): boolean;
  send_(items: Item[]): void;
  end_(): void;
}

interface Frame {
  type: string;
  seq: number;
  credits?: number;
  results: Result[];
  config?: TenantRules;
  retry_after_ms: number;
  permanent?: boolean;
  reason: string;
}

export const openSocket = (url: string, token: string, owner: SocketOwner): Socket => {
  const socket = new WebSocket(url);
  const sent = new Map<number, { items_: Item[]; at_: number }>();
  let seq = 0;
  let credits = 0;
  let beat = performance.now();
  /** Since when an answer is awaited; NaN = none is. Silence alone says nothing: in a hidden tab, timers may run once a minute. */
  let asked = beat;
  let leaving = false;

  const say = (frame: object) => socket.send(JSON.stringify(frame));

  const end = (code = 0) => {
    clearInterval(timer);
    socket.onclose = socket.onmessage = null;
    socket.close();
    sent.forEach(({ items_ }) => mark(items_, State.Free));
    owner.closed_(code);
  };

  const timer = setInterval(() => {
    const now = performance.now();
    const [oldest] = sent.values();
    if (now - asked > ANSWER_DEADLINE || (oldest && now - oldest.at_ > ACK_DEADLINE)) {
      end();
    } else if (now - beat >= HEARTBEAT) {
      beat = asked = now;
      say({ type: "heartbeat" });
    }
  }, CHECK);

  socket.onopen = () => say({ type: "auth", token });
  socket.onclose = ({ code }) => end(code);
  socket.onmessage = ({ data }) => {
    let frame: Frame;
    try {
      frame = JSON.parse(data as string) as Frame;
    } catch {
      return; // an ack that came mutilated is an ack that did not come
    }
    const { type, reason, config } = frame;
    const items = sent.get(frame.seq)?.items_;
    if (config) owner.rules_(config);
    credits = frame.credits || credits;
    if (credits) asked = NaN;
    if (type === "ready") owner.ready_();
    leaving ||= type === "reconnect";
    if (type === "error" && sent.size) {
      // It does not say which batch it was: that is known only when there is one.
      const [first, second] = sent.values();
      end();
      return owner.unreadable_(second ? [] : first!.items_, reason);
    }
    if (items) {
      sent.delete(frame.seq);
      mark(items, State.Free);
      if (type === "ack") owner.settled_(items, frame.results);
      else if (frame.permanent) owner.unreadable_(items, reason);
      else owner.retry_(frame.retry_after_ms);
    }
    if (leaving && !sent.size) end();
  };

  return {
    isReady_: () => credits > 0,
    hasRoom_: (most) => !leaving && sent.size < Math.min(most, credits),
    send_(items) {
      sent.set(++seq, { items_: items, at_: performance.now() });
      mark(items, State.Sent);
      socket.send(`{"type":"events","seq":${seq},${wireBatch(items)}}`);
    },
    end_: end,
  };
};
