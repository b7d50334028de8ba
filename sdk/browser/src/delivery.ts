/** What one tab does with its events: queue, store, tell the other tabs, and send when it is this tab's turn. */
import type { Options } from "./options.ts";
import { type Entry, isEntry } from "./queue/entry.ts";
import { createQueue, idOf, type Item, newItem, type Queue, State } from "./queue/queue.ts";
import { createStore, forgetStores, type StoreUser } from "./queue/store.ts";
import { standForElection } from "./tabs/leader.ts";
import { createSender, type Sender } from "./transport/sender.ts";
import type { Result } from "./transport/socket.ts";
import type { LoadFallback, Loss, TenantRules } from "./types.ts";

const SAVED_AT_ONCE = 200;
const LOOK_AGAIN = 50;

/** Between tabs: added entries, ids that are done, the tenant's rules; 1 = a tab is new or cannot wait, 2 = it sends from now on. */
interface Message {
  a?: Entry[];
  d?: string[] | Set<string>;
  r?: TenantRules | undefined;
  h?: 1 | 2;
}

export type Counts = Record<Loss["outcome"] | "accepted" | "duplicate", number>;

export interface Delivery {
  readonly queue_: Queue;
  readonly sender_: Sender;
  readonly counts_: Counts;
  /** Counts and reports an event that will not be stored. */
  lose_(event_id: string, outcome: Loss["outcome"], answer?: Partial<Result>): void;
  /** `durable`: may use the browser's storage. Otherwise this tab keeps its events in memory and sends them itself. */
  start_(durable: boolean): void;
  stop_(): void;
  /** Stops until consent is decided. */
  pause_(): void;
  offer_(entry: Entry): void;
  /** Consent was withdrawn: nothing that is queued anywhere is sent any more. */
  refuse_(): void;
  /** Tries to deliver now; answers whether everything had its result within the time. */
  flush_(milliseconds?: number): Promise<boolean>;
}

export const createDelivery = (
  options: Options,
  name: string,
  load: LoadFallback,
  learn: (rules: TenantRules) => void,
  lost: (loss: Loss) => void,
): Delivery => {
  const counts: Counts = { rejected: 0, duplicate: 0, refused: 0, evicted: 0, accepted: 0, dropped: 0 };
  const queue = createQueue(options.max_queue_events, options.max_queue_bytes);
  const fresh = new Set<Item>();
  let store: StoreUser | undefined;
  let channel: BroadcastChannel | undefined;
  let resign: (() => void) | undefined;
  let running: boolean | undefined;
  let leads: boolean | undefined;
  let saving: Promise<void> | undefined;
  let rules: TenantRules | undefined;
  /** Since the store is being read. */
  let settledMeanwhile: Set<string> | undefined;
  /** Not counted yet: the tab that sends counts what it knows of and says so; what is left is counted when it is this tab's turn. */
  const refused = new Set<string>();

  const tell = (message: Message) => channel?.postMessage(message);

  const lose = (event_id: string, outcome: Loss["outcome"], answer?: Partial<Result>) => {
    counts[outcome]++;
    lost({ code: outcome, ...answer, event_id, outcome });
  };

  const forget = (ids: string[]) => {
    if (!ids.length) return;
    ids.forEach((id) => settledMeanwhile?.add(id));
    void store?.((use) => use.remove_(ids));
    tell({ d: ids });
  };

  const settle = (items: Item[], results: Result[]) =>
    forget(
      items.slice(0, results.length).map((item, position) => {
        const { result } = results[position]!;
        if (queue.delete_(idOf(item))) {
          if (result === "accepted" || result === "duplicate") counts[result]++;
          else lose(idOf(item), result === "dropped" ? result : "rejected", results[position]!);
        }
        return idOf(item);
      }),
    );

  const sender = createSender(options, queue, load, {
    settled_: settle,
    rules_(learned) {
      tell({ r: (rules = learned) });
      learn(learned);
    },
  });

  const add = (item: Item) => {
    // What is stored is a copy, unless it is this tab that sends.
    const evicted = queue.add_(item).filter((one) => fresh.delete(one) || leads || !one.saved_).map(idOf);
    evicted.forEach((id) => lose(id, "evicted"));
    forget(evicted);
  };

  /** Takes over what another tab or an earlier page has stored. */
  const take = (entry: Entry) => {
    if (!queue.get_(entry.i)) add(newItem(entry, State.Free));
  };

  const offer = (entry: Entry) => {
    const item = newItem(entry, State.Saving);
    fresh.add(item);
    add(item);
    void save();
  };

  const entriesOf = (items: Item[]) => items.map((item) => item.entry_).filter((entry) => queue.get_(entry.i));

  const put = (items: Item[]) => store?.((use) => use.add_(entriesOf(items)).then(() => items.forEach((item) => (item.saved_ = true))));

  const saveAll = async () => {
    // What is tracked in one go is stored in one go.
    await undefined;
    while (running && fresh.size) {
      const items = [...fresh].slice(0, SAVED_AT_ONCE);
      items.forEach((item) => fresh.delete(item));
      await put(items);
      items.forEach((item) => (item.state_ ||= State.Free));
      forget(items.map(idOf).filter((id) => !queue.get_(id)));
      tell({ a: entriesOf(items) });
    }
    saving = undefined;
    sender.pump_();
  };

  const save = () => (saving ??= saveAll());

  /** Stores and tells anew what is not `known`: the store may have been cleared, or broken, and who sends may be another tab by now. */
  const again = (known?: Set<string>) => {
    queue.items_().forEach((item) => known?.has(idOf(item)) || fresh.add(item));
    void save();
  };

  /** Takes over what other tabs and earlier pages have left. */
  const adopt = async () => {
    const settled = (settledMeanwhile = new Set<string>());
    const stored = (await store?.((use) => use.load_())) as Entry[] | undefined;
    if (!stored || !leads) return;
    for (const entry of stored) {
      const { i } = entry;
      if (!queue.get_(i) && !settled.has(i)) {
        if (isEntry(entry)) take(entry);
        else forget([i]);
      }
      settled.add(i);
    }
    again(settled);
  };

  const lead = () => {
    leads = true;
    if (!running) refuse();
    else {
      tell({ h: 2 });
      sender.start_();
      void adopt();
    }
  };

  const follow = () => {
    leads = false;
    sender.stop_();
  };

  const hear = ({ data: { d, a, r, h } }: MessageEvent<Message>) => {
    d?.forEach((id) => refused.delete(id) || queue.delete_(id));
    if (r) learn((rules = r));
    if (h! > 1) again();
    if (!leads) return;
    a?.forEach(take);
    if (h) {
      tell({ r: rules });
      sender.hurry_();
      void adopt();
    }
    sender.pump_();
  };

  /** What is said between tabs is still heard: what others have delivered or counted meanwhile is not this tab's any more. */
  const pause = () => {
    resign?.();
    sender.stop_();
    // The page may be gone before anything is asked of it again.
    void put([...fresh]);
    void store?.(async (use) => use.close_());
    leads = resign = running = store = undefined;
  };

  const stop = () => {
    pause();
    tell({ d: refused });
    channel?.close();
    channel = undefined;
    refused.forEach((id) => refused.delete(id) && lose(id, "refused", { code: "consent" }));
  };

  const refuse = () => {
    for (const item of queue.items_()) {
      // A tab that takes no part cannot hear whether others have counted what is stored.
      if (channel || leads || !item.saved_) refused.add(idOf(item));
      queue.delete_(idOf(item));
    }
    fresh.clear();
    running = store = undefined;
    const forgotten = forgetStores(name);
    // Who has its turn counts, one after the other.
    if (channel && !leads) return void (resign ??= standForElection(name, load, lead, follow));
    // Whoever sends next must not find what is being deleted.
    void forgotten.then(resign);
    resign = undefined;
    stop();
  };

  return {
    queue_: queue,
    sender_: sender,
    counts_: counts,
    lose_: lose,
    start_(durable) {
      if (running && durable === !!store) return;
      stop();
      running = true;
      if (durable) {
        store = createStore(name, load);
        channel = new BroadcastChannel(name);
        channel.onmessage = hear;
        tell({ h: 1 });
        resign = standForElection(name, load, lead, follow);
      } else lead();
      // They are in the store, or others have had their answer.
      for (const item of queue.items_()) if (item.saved_) queue.delete_(idOf(item));
      again();
    },
    stop_: stop,
    pause_: pause,
    offer_: offer,
    refuse_: refuse,
    async flush_(milliseconds = 5_000) {
      const end = performance.now() + milliseconds;
      sender.hurry_();
      // After what was tracked just now: the tab that leads must know of it.
      void save().then(() => tell({ h: 1 }));
      while (running && queue.count_() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN));
      return !queue.count_();
    },
  };
};
