/** What has to go when the queue is full. */
import { expect, test } from "vitest";
import { encode } from "../../src/queue/entry.ts";
import { createQueue, idOf, newItem, State } from "../../src/queue/queue.ts";
import type { AnalyticsEvent } from "../../src/types.ts";

const item = (id: string, importance = 1, state = State.Free, size = 10) =>
  newItem(encode({ event_id: id, event_name: "x".repeat(size), timestamp: 1 } as AnalyticsEvent, importance), state);
const ids = (items: { entry_: { i: string } }[]) => items.map((one) => one.entry_.i);

test("the oldest of the least important goes first, then the oldest of all", () => {
  const queue = createQueue(3, 1e6);
  queue.add_(item("old"));
  queue.add_(item("low", 0));
  queue.add_(item("low2", 0));
  expect(["a", "b", "c"].flatMap((id) => ids(queue.add_(item(id))))).toEqual(["low", "low2", "old"]);
  expect(ids(queue.items_())).toEqual(["a", "b", "c"]);
});

test("what is unimportant itself gives way to what is important", () => {
  const queue = createQueue(1, 1e6);
  queue.add_(item("a"));
  expect(ids(queue.add_(item("low", 0)))).toEqual(["low"]);
});

test("what is being sent is not evicted: its answer is on the way", () => {
  const queue = createQueue(2, 1e6);
  const sent = item("sent", 0);
  queue.add_(sent);
  sent.state_ = State.Sent;
  queue.add_(item("a"));
  expect(ids(queue.add_(item("b")))).toEqual(["a"]);
});

test("bytes count as well as events, and are given back", () => {
  const size = item("a").size_;
  const queue = createQueue(100, 2 * size);
  queue.add_(item("a"));
  queue.add_(item("b"));
  expect(ids(queue.add_(item("c")))).toEqual(["a"]);
  expect(queue.bytes_()).toBe(2 * size);
  queue.delete_("b");
  queue.delete_("b");
  expect([queue.count_(), queue.bytes_()]).toEqual([1, size]);
});

test("the same id again replaces itself", () => {
  const queue = createQueue(10, 1e6);
  queue.add_(item("a"));
  queue.add_(item("a"));
  expect([queue.count_(), queue.bytes_()]).toEqual([1, item("a").size_]);
});

test("a batch is bounded by events and bytes, has at least one, and skips what is not free", () => {
  const queue = createQueue(100, 1e6);
  for (const id of ["a", "b", "c", "d"]) queue.add_(item(id));
  queue.get_("b")!.state_ = State.Sent;
  expect(queue.peek_(2, 1e6).map(idOf)).toEqual(["a", "c"]);
  expect(queue.peek_(9, item("a").size_ + 40).map(idOf)).toEqual(["a"]);
  expect(queue.peek_(9, 1).map(idOf)).toEqual(["a"]);
});
