"""What travels through the service: a decoded batch, its events once they are judged, and what became of them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What became of one event; docs/events.md explains each."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    DROPPED = "dropped"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """One batch in the one internal form, whatever way it came.

    Attributes:
        events: each as `orjson.loads` would give it; not judged yet, so anything may be in here.
        sent_at_ms: client clock when it was sent, unix milliseconds; 0 = unknown.
        batch_id: the client's name for it; empty = none.
        size: bytes as received.
    """

    events: list[Any]
    sent_at_ms: int
    batch_id: str
    size: int


@dataclass(slots=True)
class Event:
    """A valid event; the tenant's rules strip it in place.

    Neither frozen nor nested: this is built for every event, and both would double its cost. Times are unix
    milliseconds, empty strings stand for absent ones.
    """

    tenant_id: str
    event_id: str
    event_name: str
    event_category: str
    user_id: str
    anonymous_id: str
    session_id: str
    properties: dict[str, Any]
    timestamp_ms: int
    sent_at_ms: int
    received_at_ms: int
    skew_ms: int
    event_time_ms: int
    page_url: str
    referrer: str
    user_agent: str
    """Raw until the rules have run, then its keyed hash."""
    device_info: dict[str, Any]
    correlation_id: str
    consent: bool | None
    size: int
    """Bytes of the event as compact JSON."""
    fingerprint: int
    """Eight bytes of the payload's hash, as the signed number that PostgreSQL keeps."""
    ip_hash: str = ""
    sample_rate: float = 1.0
    live: bool = False
    """True: to be shown in the tenant's live feed once it is stored."""
    note: str = ""
    """Said to the client next to `accepted`."""
    unknown_fields: tuple[str, ...] = ()
    """Top-level fields that were ignored."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """An event that is kept because it is bad: scrubbed, at most 64 KiB, to be listed and replayed."""

    tenant_id: str
    received_at_ms: int
    code: str
    field: str
    message: str
    sdk: str
    event_id: str
    body: bytes
    truncated: bool
    replay_of: int = 0
    """The bad row that this one takes the place of; 0 = none."""


@dataclass(slots=True)
class EventResult:
    """The answer for one event. `code` and `field` are empty unless it was dropped or rejected."""

    event_id: str
    outcome: Outcome
    code: str = ""
    field: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One result per event, in input order."""

    batch_id: str
    results: list[EventResult] = field(default_factory=list)

    def count(self, outcome: Outcome) -> int:
        """How many events had this outcome."""
        return sum(result.outcome is outcome for result in self.results)


class Rejected(Exception):
    """One event is bad data.

    Args:
        code: machine-readable, lower snake case, from docs/events.md.
        field: the offending field, dotted.
        message: for people.
    """

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.field = field
        self.message = message
