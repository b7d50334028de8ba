"""The bounded store, batching, pauses and counts, on a clock of the test's own."""

import threading
from random import Random

import pytest

from obc_analytics import (
    Analytics,
    AsyncAnalytics,
    ClientClosed,
    EventResult,
    Options,
    Outcome,
    QueueFull,
    ServerBusy,
    WhenFull,
)
from obc_analytics.backoff import Backoff
from obc_analytics.event import Event, make_event
from obc_analytics.ledger import Ledger
from obc_analytics.pace import Pace
from obc_analytics.pending import Batch
from obc_common.clock import ManualClock

NOW = 1_795_469_000_000
START = 1000.0


class Desk:
    """A ledger of three-event batches, and what it told."""

    def __init__(self, when_full: WhenFull = WhenFull.RAISE, **options: float) -> None:
        values: dict[str, float] = {"queue_events": 5, "batch_events": 3, "batch_seconds": 1.0, **options}
        self.clock = ManualClock(NOW)
        self.told: list[EventResult] = []
        self.ledger = Ledger(Options(when_full=when_full, **values), self.clock, self.told.extend)  # type: ignore[arg-type]  # whole numbers where they must be

    def offer(self, *names: str) -> list[Event]:
        events = [make_event(name, None, NOW) for name in names]
        for event in events:
            assert self.ledger.offer(event) is None
        return events

    def due_in(self) -> float | None:
        with self.ledger.wake:
            return self.ledger.due_in()

    def take(self) -> Batch:
        with self.ledger.wake:
            return self.ledger.take()

    def settle(self, batch: Batch, outcome: Outcome = Outcome.ACCEPTED) -> None:
        self.ledger.settle(batch.seq, [EventResult(e.event_id, e.event_name, outcome) for e in batch.events])

    def balanced(self) -> bool:
        stats = self.ledger.stats()
        ended = stats.accepted + stats.duplicate + stats.dropped + stats.rejected + stats.evicted
        return stats.queued == ended + stats.pending


def names(batch: Batch) -> str:
    return "".join(event.event_name for event in batch.events)


def test_a_batch_is_due_when_it_is_full_or_old_or_waited_for() -> None:
    desk = Desk()
    assert desk.due_in() is None
    desk.offer("a")
    assert desk.due_in() == pytest.approx(1.0)
    desk.clock.advance(0.4)
    assert desk.due_in() == pytest.approx(0.6)
    desk.offer("b", "c")
    assert desk.due_in() == 0
    assert names(desk.take()) == "abc"
    desk.offer("d")
    assert desk.due_in() == pytest.approx(1.0)
    waiting = desk.ledger.delivered()
    assert desk.due_in() == 0
    assert not waiting.done()


def test_bytes_make_a_batch_full_too() -> None:
    desk = Desk(queue_events=100, batch_events=100, batch_bytes=2000)
    big = make_event("big", {"text": "x" * 900}, NOW)
    for _ in range(3):
        desk.ledger.offer(big)
    assert desk.due_in() == 0
    assert len(desk.take().items) == 1
    # One event that is larger than a batch should be goes alone
    assert len(desk.take().items) == 1


def test_room_is_free_only_once_there_is_a_result() -> None:
    desk = Desk()
    desk.offer(*"abcde")
    batch = desk.take()
    with pytest.raises(QueueFull):
        desk.offer("f")
    desk.settle(batch)
    desk.offer("f")
    assert desk.balanced()
    assert desk.ledger.stats().queued == 6


def test_bytes_bound_the_queue_too() -> None:
    desk = Desk(queue_events=1000, queue_bytes=5000, batch_bytes=5000)
    with pytest.raises(QueueFull):
        desk.offer(*("x" * 190 for _ in range(1000)))
    assert 5 < desk.ledger.stats().pending < 20


def test_what_is_sent_again_keeps_its_ids_and_its_order() -> None:
    desk = Desk(queue_events=9)
    events = desk.offer(*"abcdefgh")
    first, second = desk.take(), desk.take()
    desk.ledger.send_again(second.seq)
    desk.ledger.send_again(first.seq)
    again = [desk.take(), desk.take(), desk.take()]
    assert [names(batch) for batch in again] == ["abc", "def", "gh"]
    assert [event.event_id for batch in again for event in batch.events] == [event.event_id for event in events]
    assert len({batch.seq for batch in (first, second, *again)}) == 5
    assert desk.ledger.stats().sent == 14


def test_an_older_batch_given_back_behind_a_newer_one_is_sent_first() -> None:
    desk = Desk(queue_events=9)
    desk.offer(*"abcdef")
    first, second = desk.take(), desk.take()
    desk.ledger.send_again(first.seq)
    desk.ledger.send_again(second.seq)
    assert names(desk.take()) == "abc"


def test_an_answer_counts_once_and_only_while_it_is_awaited() -> None:
    desk = Desk()
    desk.offer("a")
    batch = desk.take()
    desk.ledger.send_all_again()
    desk.settle(batch)
    assert desk.ledger.stats().accepted == 0
    again = desk.take()
    desk.settle(again)
    desk.settle(again)
    assert desk.ledger.stats().accepted == 1
    assert desk.balanced()


def test_drop_oldest_gives_up_what_waits_longest_and_tells() -> None:
    desk = Desk(WhenFull.DROP_OLDEST)
    desk.offer(*"abcde")
    batch = desk.take()  # a, b and c are on the wire: their outcome is no longer ours to decide
    desk.offer(*"fg")
    assert "".join(result.event_name for result in desk.told) == "de"
    assert {(result.outcome, result.code) for result in desk.told} == {(Outcome.EVICTED, "queue_full")}
    desk.take()
    desk.offer("h")
    assert desk.told[-1].event_name == "h"
    desk.settle(batch)
    assert desk.ledger.stats().evicted == 3
    assert desk.balanced()


def test_block_answers_what_to_wait_for() -> None:
    desk = Desk(WhenFull.BLOCK)
    desk.offer(*"abcde")
    late = make_event("f", None, NOW)
    room = desk.ledger.offer(late)
    assert room is not None
    batch = desk.take()
    assert not room.done()
    desk.settle(batch)
    assert room.done()
    assert desk.ledger.offer(late) is None


def test_those_who_no_longer_wait_are_forgotten() -> None:
    desk = Desk(WhenFull.BLOCK)
    desk.offer(*"abcde")
    for _ in range(100):
        room = desk.ledger.offer(make_event("f", None, NOW))
        assert room is not None
        room.cancel()
        desk.ledger.delivered().cancel()
    assert len(desk.ledger._for_room) <= 1
    assert len(desk.ledger._for_delivery) <= 1


def test_delivered_waits_for_what_was_queued_before_and_for_nothing_else() -> None:
    desk = Desk(queue_events=9)
    assert desk.ledger.delivered().done()
    desk.offer(*"abcd")
    waiting = desk.ledger.delivered()
    desk.offer("e")
    first, second = desk.take(), desk.take()
    desk.settle(second)
    assert not waiting.done()
    desk.settle(first)
    assert waiting.done()


def test_a_batch_refused_for_good_is_rejected_and_told() -> None:
    desk = Desk()
    desk.offer(*"ab")
    desk.ledger.refuse(desk.take().seq, "BAD_MESSAGE", ServerBusy("BAD_MESSAGE", "no"))
    assert desk.ledger.stats().rejected == 2
    assert {(result.outcome, result.code) for result in desk.told} == {(Outcome.REJECTED, "BAD_MESSAGE")}
    assert desk.balanced()


@pytest.mark.parametrize("reason", ["TOO_MANY_EVENTS", "BODY_TOO_LARGE", "COST_OVER_BURST"])
def test_a_batch_too_big_is_sent_in_halves_and_a_single_event_too_big_is_rejected(reason: str) -> None:
    desk = Desk(queue_events=8, batch_events=8)
    desk.offer(*"abcdefgh")
    sizes = []
    for _ in range(4):
        batch = desk.take()
        sizes.append(len(batch.items))
        desk.ledger.refuse(batch.seq, reason, ServerBusy(reason, ""))
    assert sizes == [8, 4, 2, 1]
    assert desk.ledger.stats().rejected == 1
    assert desk.ledger.stats().pending == 7


def test_closing_takes_no_more_and_giving_up_is_counted_and_told() -> None:
    desk = Desk()
    desk.offer(*"abcd")
    batch = desk.take()
    desk.ledger.close()
    assert desk.due_in() == 0
    with pytest.raises(ClientClosed):
        desk.offer("e")
    waiting = desk.ledger.delivered()
    assert desk.ledger.abandon() == 4
    assert waiting.done()
    desk.settle(batch)
    assert (desk.ledger.stats().evicted, desk.ledger.stats().accepted) == (4, 0)
    assert "".join(sorted(result.event_name for result in desk.told)) == "abcd"
    assert desk.balanced()


def test_the_backoff_is_full_jitter_under_a_doubling_bound_without_end() -> None:
    bounds = [1, 2, 4, 8, 8, 8]
    for seed in range(50):
        backoff = Backoff(1, 8, Random(seed))
        assert all(0 <= backoff.next() <= bound for bound in bounds)
    backoff = Backoff(1, 8, Random(1))
    waits = [backoff.next() for _ in range(10_000)]
    assert 3.8 < sum(waits) / len(waits) < 4.2
    backoff.reset()
    assert backoff.next() <= 1


def test_a_pause_is_what_the_server_asks_and_some_jitter_more() -> None:
    clock = ManualClock(NOW)
    pace = Pace.of(1, 8, clock, Random(7))
    assert pace.left() == 0
    pause = pace.fail(at_least=5)
    assert 5 <= pause <= 6
    clock.advance(pause - 0.5)
    assert pace.left() == pytest.approx(0.5)
    # What was under way before the pause changes no more than the server asks
    assert pace.fail() == pytest.approx(0.5)
    assert pace.fail(at_least=3) == pytest.approx(3)
    clock.advance(3)
    # The second pause has twice the bound of the first, not eight times, though there were four failures
    assert all(Pace.of(1, 8, clock, Random(seed)).fail() <= 1 for seed in range(20))
    assert pace.fail() <= 2
    clock.advance(10)
    assert pace.left() == 0


@pytest.mark.parametrize(
    "options",
    [
        {"queue_events": 0},
        {"batch_events": 1001},
        {"batch_events": 600, "queue_events": 500},
        {"batch_bytes": 5 * 1024 * 1024},
        {"batch_seconds": -1},
        {"backoff_seconds": 60},
        {"ack_seconds": float("nan")},
        {"when_full": "explode"},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        Options(**options)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    "arguments",
    [
        {"key": "", "address": "a:1"},
        {"key": "wk with space", "address": "a:1"},
        {"key": "wk_ü", "address": "a:1"},
        {"key": "wk_live_1"},
        {"key": "wk_live_1", "rest_url": "ftp://a"},
        {"key": "wk_live_1", "rest_url": "http://user@a"},
        {"key": "wk_live_1", "rest_url": "//a"},
    ],
)
def test_a_client_that_cannot_work_is_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        Analytics(**arguments)  # type: ignore[arg-type]  # that is the point


def test_a_full_queue_makes_track_wait_only_so_long() -> None:
    options = Options(queue_events=2, batch_events=2, block_seconds=0.05, close_seconds=0.01)
    with Analytics("wk_test", address="127.0.0.1:1", options=options) as analytics:
        analytics.track("a")
        analytics.track("b")
        with pytest.raises(QueueFull):
            analytics.track("c")
        assert analytics.stats.queued == 2


async def test_a_full_queue_makes_an_awaited_track_wait_only_so_long() -> None:
    options = Options(queue_events=2, batch_events=2, block_seconds=0.05, close_seconds=0.01)
    async with AsyncAnalytics("wk_test", address="127.0.0.1:1", options=options) as analytics:
        await analytics.track("a")
        await analytics.track("b")
        with pytest.raises(QueueFull):
            await analytics.track("c")
        assert analytics.stats.queued == 2


def test_a_client_without_events_starts_no_thread_and_closes_at_once() -> None:
    before = threading.active_count()
    with Analytics("wk_test", address="127.0.0.1:1") as analytics:
        analytics.flush(0.1)
        assert threading.active_count() == before
    assert analytics.close() is True
    with pytest.raises(ClientClosed):
        analytics.track("late")
    assert threading.active_count() == before
