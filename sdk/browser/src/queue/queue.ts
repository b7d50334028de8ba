/** What this tab knows to be undelivered, within bounds. An event leaves it only by its own result, or evicted. */
import { bytesOf, type Entry } from "./entry.ts";

export const enum State {
  /** Being stored; not to be sent yet. */
  Saving,
  /** To be sent. */
  Free,
  /** Sent, no answer yet. */
  Sent,
  /** Handed over when the page was hidden or left, no answer yet: once is enough. */
  Handed,
}

export interface Item {
  readonly entry_: Entry;
  readonly size_: number;
  state_: State;
  /** The durable store has it. */
  saved_: boolean | undefined;
}

export interface Queue {
  maxBytes_: number;
  count_(): number;
  bytes_(): number;
  get_(id: string): Item | undefined;
  delete_(id: string): boolean;
  /** In the order of arrival. */
  items_(): Item[];
  /** Queues an event and answers what had to go for it, the least important and oldest first: perhaps itself. */
  add_(item: Item): Item[];
  /** The next batch: at least one event if any is wanted. */
  peek_(most: number, mostBytes: number, wanted?: (item: Item) => unknown): Item[];
}

export const newItem = (entry_: Entry, state_: State): Item => ({
  entry_,
  size_: bytesOf(entry_.j),
  state_,
  saved_: state_ === State.Free,
});

export const idOf = (item: Item): string => item.entry_.i;

export const mark = (items: Item[], state: State): void => items.forEach((item) => (item.state_ = state));

const isFree = (item: Item) => item.state_ === State.Free;

export const createQueue = (maxEvents: number, maxBytes_: number): Queue => {
  const items = new Map<string, Item>();
  let bytes = 0;
  const queue: Queue = {
    maxBytes_,
    count_: () => items.size,
    bytes_: () => bytes,
    get_: (id) => items.get(id),
    delete_(id) {
      bytes -= items.get(id)?.size_ ?? 0;
      return items.delete(id);
    },
    items_: () => [...items.values()],
    add_(added) {
      const evicted: Item[] = [];
      queue.delete_(idOf(added));
      items.set(idOf(added), added);
      bytes += added.size_;
      for (const importance of [0, 1]) {
        for (const item of items.values()) {
          if (items.size <= maxEvents && bytes <= queue.maxBytes_) return evicted;
          if (item.entry_.p <= importance && item.state_ < State.Sent) {
            queue.delete_(idOf(item));
            evicted.push(item);
          }
        }
      }
      return evicted;
    },
    peek_(most, mostBytes, wanted = isFree) {
      const batch: Item[] = [];
      for (const item of items.values()) {
        if (!wanted(item)) continue;
        mostBytes -= item.size_ + 40;
        if (batch.length >= most || (batch.length && mostBytes < 0)) break;
        batch.push(item);
      }
      return batch;
    },
  };
  return queue;
};
