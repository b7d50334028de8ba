/** The socket's deadlines and heartbeat, on a clock that is led by hand. */
import { afterEach, beforeEach, describe, expect, type Mock, test, vi } from "vitest";
import { encode } from "../../src/queue/entry.ts";
import { newItem, State } from "../../src/queue/queue.ts";
import { openSocket, type Socket, type SocketOwner } from "../../src/transport/socket.ts";
import type { AnalyticsEvent } from "../../src/types.ts";
import { FakeSocket, openBrowser } from "./browser.ts";

const item = (id: string) => newItem(encode({ event_id: id, event_name: "x", timestamp: 1 } as AnalyticsEvent, 1), State.Free);

describe("a socket", () => {
  let socket: Socket;
  let owner: { [name in keyof SocketOwner]: Mock<SocketOwner[name]> };
  const frames = (type: string) => FakeSocket.last.frames.filter((frame) => frame.type === type);
  const pass = (seconds: number) => vi.advanceTimersByTime(seconds * 1_000);

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    openBrowser();
    owner = { ready_: vi.fn(), rules_: vi.fn(), settled_: vi.fn(), retry_: vi.fn(), unreadable_: vi.fn(), closed_: vi.fn() };
    socket = openSocket("ws://a.example", "wk", owner);
  });
  afterEach(() => {
    expect(vi.getTimerCount()).toBe(FakeSocket.last.closed ? 0 : 1);
    vi.useRealTimers();
  });

  test("that is never ready is given up after 10 s", () => {
    pass(10);
    expect(owner.closed_).not.toHaveBeenCalled();
    pass(5);
    expect(owner.closed_).toHaveBeenCalledExactlyOnceWith(0);
    expect(FakeSocket.last.closed).toBe(true);
  });

  test("beats every 30 s, and an answer keeps it", () => {
    FakeSocket.last.ready();
    for (let beat = 1; beat <= 4; beat++) {
      pass(30);
      expect(frames("heartbeat")).toHaveLength(beat);
      FakeSocket.last.hear({ type: "heartbeat", server_time: 1 });
    }
    expect(owner.closed_).not.toHaveBeenCalled();
  });

  test("whose heartbeat has no answer after 10 s is given up", () => {
    FakeSocket.last.ready();
    pass(40);
    expect(owner.closed_).not.toHaveBeenCalled();
    pass(5);
    expect(owner.closed_).toHaveBeenCalledExactlyOnceWith(0);
  });

  test("whose batch has no ack after 20 s is given up, though it beats, and the batch is free again", () => {
    // given a batch that is sent
    FakeSocket.last.ready();
    const sent = item("a");
    socket.send_([sent]);
    expect(sent.state_).toBe(State.Sent);
    // when other frames come and its ack does not
    for (let n = 0; n < 5; n++) {
      FakeSocket.last.hear({ type: "heartbeat" });
      pass(5);
    }
    // then it is to be sent again
    expect(owner.closed_).toHaveBeenCalledExactlyOnceWith(0);
    expect(sent.state_).toBe(State.Free);
    expect(owner.settled_).not.toHaveBeenCalled();
  });

  test("has room for as many batches as it has credits", () => {
    expect(socket.hasRoom_(50)).toBe(false);
    FakeSocket.last.ready(2);
    socket.send_([item("a")]);
    expect([socket.hasRoom_(50), socket.hasRoom_(1)]).toEqual([true, false]);
    socket.send_([item("b")]);
    expect(socket.hasRoom_(50)).toBe(false);
    FakeSocket.last.ack(FakeSocket.last.batches[0]!);
    expect(socket.hasRoom_(50)).toBe(true);
  });

  test("that is asked to reconnect sends nothing more, and ends with its last ack", () => {
    FakeSocket.last.ready();
    socket.send_([item("a")]);
    FakeSocket.last.hear({ type: "reconnect", reason: "max_age" });
    expect([socket.hasRoom_(50), FakeSocket.last.closed]).toEqual([false, false]);
    FakeSocket.last.ack(FakeSocket.last.batches[0]!);
    expect(owner.settled_).toHaveBeenCalledOnce();
    expect(FakeSocket.last.closed).toBe(true);
  });

  test("takes a mutilated frame for none", () => {
    FakeSocket.last.ready();
    socket.send_([item("a")]);
    FakeSocket.last.onmessage!({ data: '{"type":"ack","seq":1,"resul' });
    expect(owner.settled_).not.toHaveBeenCalled();
    FakeSocket.last.ack(FakeSocket.last.batches[0]!);
    expect(owner.settled_).toHaveBeenCalledOnce();
  });
});
