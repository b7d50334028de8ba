"""The bounded store of events that have no result yet: those that wait, and those that were sent.

An event leaves it only with a result. Not thread-safe: the courier's lock guards it.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from obc_analytics.event import Event


@dataclass(frozen=True, slots=True)
class Queued:
    """An event in the store.

    Attributes:
        number: its place in the order of `track`, from 1.
        since: monotonic seconds when it was queued.
    """

    number: int
    since: float
    event: Event


@dataclass(frozen=True, slots=True)
class Batch:
    """Events sent together.

    Attributes:
        seq: number of this sending; unique among all of the client.
        sent_at: monotonic seconds.
    """

    seq: int
    sent_at: float
    items: tuple[Queued, ...]

    @property
    def events(self) -> list[Event]:
        """Its events, in order."""
        return [item.event for item in self.items]


class Pending:
    """Events without a result, bounded by number and by bytes, waiting ones and sent ones together."""

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._waiting: deque[Queued] = deque()
        self._waiting_bytes = 0
        self._sent: dict[int, Batch] = {}
        self._events = 0
        self._bytes = 0
        self._last_number = 0
        self._last_seq = 0

    def __len__(self) -> int:
        return self._events

    @property
    def waiting(self) -> int:
        """Events that are not sent, or to be sent again."""
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """Their bytes."""
        return self._waiting_bytes

    @property
    def sent_batches(self) -> int:
        """Batches without an answer."""
        return len(self._sent)

    @property
    def last_number(self) -> int:
        """The number of the event queued last; 0 = none was."""
        return self._last_number

    def first_waiting(self) -> Queued | None:
        """The waiting event that was queued first."""
        return self._waiting[0] if self._waiting else None

    def oldest_sending(self) -> float | None:
        """When the batch that has waited longest for its answer was sent."""
        return min((batch.sent_at for batch in self._sent.values()), default=None)

    def settled_up_to(self) -> int:
        """Every event up to this number has its result."""
        unsettled = [batch.items[0].number for batch in self._sent.values()]
        if self._waiting:
            unsettled.append(self._waiting[0].number)
        return min(unsettled) - 1 if unsettled else self._last_number

    def fits(self, event: Event) -> bool:
        """Whether there is room."""
        return self._events < self._max_events and self._bytes + event.size <= self._max_bytes

    def add(self, event: Event, now: float) -> None:
        """Queues an event; the caller has made sure that it fits."""
        self._last_number += 1
        self._waiting.append(Queued(self._last_number, now, event))
        self._waiting_bytes += event.size
        self._events += 1
        self._bytes += event.size

    def evict_for(self, event: Event) -> list[Event]:
        """Removes the oldest waiting events until `event` fits, or none waits any more; what was removed."""
        evicted = []
        while self._waiting and not self.fits(event):
            evicted.append(self._pop_waiting().event)
            self._forget(evicted[-1:])
        return evicted

    def evict_all(self) -> list[Event]:
        """Removes everything, sent or not; what was removed."""
        for seq in list(self._sent):
            self.give_back(seq)
        evicted = [item.event for item in self._waiting]
        self._waiting.clear()
        self._waiting_bytes = 0
        self._forget(evicted)
        return evicted

    def take(self, max_events: int, max_bytes: int, now: float) -> Batch:
        """Makes the next batch of what waits (at least one event) and marks it as sent."""
        items = [self._pop_waiting()]
        size = items[0].event.size
        while self._waiting and len(items) < max_events and size + self._waiting[0].event.size <= max_bytes:
            items.append(self._pop_waiting())
            size += items[-1].event.size
        self._last_seq += 1
        batch = Batch(self._last_seq, now, tuple(items))
        self._sent[batch.seq] = batch
        return batch

    def get(self, seq: int) -> Batch | None:
        """The sent batch of that number; None when it has its answer already."""
        return self._sent.get(seq)

    def settle(self, seq: int) -> None:
        """The batch has its results: its room is free."""
        self._forget(self._sent.pop(seq).events)

    def give_back(self, seq: int) -> None:
        """The batch has to be sent again: its events wait again, in the order of `track`."""
        items = self._sent.pop(seq).items
        if self._waiting and self._waiting[0].number < items[-1].number:
            self._waiting = deque(sorted((*items, *self._waiting), key=lambda item: item.number))
        else:
            self._waiting.extendleft(reversed(items))
        self._waiting_bytes += sum(item.event.size for item in items)

    def give_all_back(self) -> int:
        """Every batch without an answer has to be sent again; how many."""
        sequences = sorted(self._sent, reverse=True)
        for seq in sequences:
            self.give_back(seq)
        return len(sequences)

    def _pop_waiting(self) -> Queued:
        item = self._waiting.popleft()
        self._waiting_bytes -= item.event.size
        return item

    def _forget(self, events: Iterable[Event]) -> None:
        for event in events:
            self._events -= 1
            self._bytes -= event.size
