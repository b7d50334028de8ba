"""What is known of every event, shared by the application's threads and the courier's.

Nothing leaves it as delivered without a result of the server; nothing leaves it unnoticed.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from obc_analytics.clock import Clock
from obc_analytics.errors import ClientClosed, DeliveryProblem, QueueFull
from obc_analytics.event import Event
from obc_analytics.options import Options, WhenFull
from obc_analytics.pending import Batch, Pending
from obc_analytics.results import EventResult, Outcome, Stats

# Refusals of a batch that a smaller one does not meet.
_TOO_BIG = frozenset({"TOO_MANY_EVENTS", "BODY_TOO_LARGE", "COST_OVER_BURST"})

Tell = Callable[[Iterable[EventResult]], None]


class Ledger:
    """Pending events, counts, and who waits for room or for delivery. Thread-safe.

    Args:
        options: the bounds.
        clock: measures how long an event has waited for company.
        tell: is given the results, without the lock, on the thread that caused them.

    Attributes:
        wake: notified at every change; guards everything here, and the courier's incoming messages.
        stopped: delivery is to end.
    """

    def __init__(self, options: Options, clock: Clock, tell: Tell) -> None:
        self.wake = threading.Condition()
        self.stopped = False
        self._options = options
        self._clock = clock
        self._tell = tell
        self._pending = Pending(options.queue_events, options.queue_bytes)
        self._batch_events = options.batch_events
        self._closed = False
        self._queued = 0
        self._sent = 0
        self._outcomes: Counter[Outcome] = Counter()
        self._urgent_up_to = 0
        self._for_room: list[Future[None]] = []
        self._for_delivery: list[tuple[int, Future[None]]] = []

    # For the application

    def check_open(self) -> None:
        """Raises ClientClosed after `close`."""
        if self._closed:
            raise ClientClosed("the client is closed")

    def offer(self, event: Event) -> "Future[None] | None":
        """Queues an event; or, where the policy is to wait, answers what to wait for before offering it again.

        Raises:
            ClientClosed: after `close`.
            QueueFull: where the policy says so.
        """
        evicted: list[Event] = []
        with self.wake:
            self.check_open()
            if not self._pending.fits(event) and (room := self._make_room(event, evicted)) is not None:
                return room
            if self._pending.fits(event):
                self._pending.add(event, self._clock.monotonic())
            else:
                evicted.append(event)  # everything in the store is on the wire: the newcomer is what can be given up
            self._queued += 1
            self._outcomes[Outcome.EVICTED] += len(evicted)
            ready = self._ready_futures() if evicted else []
            self.wake.notify_all()
        _resolve(ready)
        if evicted:
            self._tell([_given_up(given_up, "queue_full") for given_up in evicted])
        return None

    def delivered(self) -> "Future[None]":
        """Done when everything queued so far has its result; until then it is sent without waiting for company."""
        future: Future[None] = Future()
        with self.wake:
            number = self._pending.last_number
            self._urgent_up_to = number
            # Those who gave up waiting cancelled theirs.
            self._for_delivery = [waiter for waiter in self._for_delivery if not waiter[1].cancelled()]
            self._for_delivery.append((number, future))
            ready = self._ready_futures()
            self.wake.notify_all()
        _resolve(ready)
        return future

    def close(self) -> None:
        """Takes no more events."""
        with self.wake:
            self._closed = True
            waiting, self._for_room = self._for_room, []
        _resolve(waiting)

    def abandon(self) -> int:
        """Ends delivery and gives up what has no result; how many."""
        with self.wake:
            self.stopped = True
            evicted = self._pending.evict_all()
            self._outcomes[Outcome.EVICTED] += len(evicted)
            ready = self._ready_futures()
            self.wake.notify_all()
        _resolve(ready)
        self._tell([_given_up(event, "closed") for event in evicted])
        return len(evicted)

    def stats(self) -> Stats:
        """The counts, all of one moment."""
        with self.wake:
            return Stats(
                queued=self._queued,
                sent=self._sent,
                accepted=self._outcomes[Outcome.ACCEPTED],
                duplicate=self._outcomes[Outcome.DUPLICATE],
                dropped=self._outcomes[Outcome.DROPPED],
                rejected=self._outcomes[Outcome.REJECTED],
                evicted=self._outcomes[Outcome.EVICTED],
                pending=len(self._pending),
            )

    # For the courier

    def due_in(self) -> float | None:
        """Seconds until a batch should be sent; 0 = now, None = nothing waits. To be asked under the lock."""
        first = self._pending.first_waiting()
        if first is None:
            return None
        full = self._pending.waiting >= self._batch_events or self._pending.waiting_bytes >= self._options.batch_bytes
        if full or self._closed or first.number <= self._urgent_up_to:
            return 0.0
        return max(0.0, first.since + self._options.batch_seconds - self._clock.monotonic())

    def take(self) -> Batch:
        """The next batch, counted as sent. To be called under the lock, when one is due."""
        batch = self._pending.take(self._batch_events, self._options.batch_bytes, self._clock.monotonic())
        self._sent += len(batch.items)
        return batch

    def unanswered(self) -> int:
        """Batches without an answer. To be asked under the lock."""
        return self._pending.sent_batches

    def answer_overdue_in(self) -> float | None:
        """Seconds until the oldest unanswered batch has waited too long; None = there is none. Under the lock."""
        oldest = self._pending.oldest_sending()
        return None if oldest is None else oldest + self._options.ack_seconds - self._clock.monotonic()

    def batch(self, seq: int) -> Batch | None:
        """An unanswered batch; None when it has its answer, or was given up."""
        with self.wake:
            return self._pending.get(seq)

    def settle(self, seq: int, results: list[EventResult]) -> None:
        """The server's results of a batch, one for each event."""
        with self.wake:
            if self._pending.get(seq) is None:
                return  # given up meanwhile, and counted as that
            self._pending.settle(seq)
            self._outcomes.update(result.outcome for result in results)
            ready = self._ready_futures()
            self.wake.notify_all()
        _resolve(ready)
        self._tell(results)

    def send_again(self, seq: int) -> None:
        """The batch was not stored, as far as is known: its events wait again."""
        with self.wake:
            if self._pending.get(seq) is not None:
                self._pending.give_back(seq)

    def send_all_again(self) -> None:
        """No answer can come any more: the events of every unanswered batch wait again."""
        with self.wake:
            self._pending.give_all_back()

    def refuse(self, seq: int, reason: str, problem: DeliveryProblem) -> None:
        """The batch was refused for good. One that is too big is sent again in halves; others are rejected."""
        batch = self.batch(seq)
        if batch is None:
            return
        if reason in _TOO_BIG and len(batch.items) > 1:
            with self.wake:
                self._batch_events = max(1, min(self._batch_events, len(batch.items) // 2))
            self.send_again(seq)
            return
        code = reason or problem.code
        message = str(problem)
        self.settle(
            seq,
            [EventResult(e.event_id, e.event_name, Outcome.REJECTED, code, "", message) for e in batch.events],
        )

    def _make_room(self, event: Event, evicted: list[Event]) -> "Future[None] | None":
        match self._options.when_full:
            case WhenFull.DROP_OLDEST:
                evicted.extend(self._pending.evict_for(event))
                return None
            case WhenFull.BLOCK:
                room: Future[None] = Future()
                # Those who gave up waiting cancelled theirs.
                self._for_room = [*(other for other in self._for_room if not other.cancelled()), room]
                return room
        raise QueueFull(f"{len(self._pending)} events wait for delivery")

    def _ready_futures(self) -> list["Future[None]"]:
        """Takes out who need not wait any more."""
        settled = self._pending.settled_up_to()
        ready = [future for number, future in self._for_delivery if number <= settled]
        self._for_delivery = [waiter for waiter in self._for_delivery if waiter[0] > settled]
        ready += self._for_room
        self._for_room = []
        return ready


def _resolve(futures: list["Future[None]"]) -> None:
    """Outside of the lock: what waits may run code of its own at once."""
    for future in futures:
        if future.set_running_or_notify_cancel():
            future.set_result(None)


def _given_up(event: Event, code: str) -> EventResult:
    return EventResult(event.event_id, event.event_name, Outcome.EVICTED, code)
