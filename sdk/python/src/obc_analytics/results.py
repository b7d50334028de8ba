"""What became of an event, and the counts of it all."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of one event; every event ends with exactly one of them."""

    ACCEPTED = "accepted"
    """Stored durably."""
    DUPLICATE = "duplicate"
    """Stored durably by an earlier try; a success."""
    DROPPED = "dropped"
    """Left out by a rule of the tenant; `code` says which."""
    REJECTED = "rejected"
    """Bad data; sending it again never helps. `code` and `field` say what."""
    EVICTED = "evicted"
    """Given up by this client: `code` is `queue_full` or `closed`. An earlier, unanswered try may have stored it."""


@dataclass(frozen=True, slots=True)
class EventResult:
    """The result of one event.

    Attributes:
        event_id: as queued.
        event_name: as queued.
        outcome: what became of it.
        code: machine-readable reason, e.g. `excluded` or `bad_user_id`; empty for a success.
        field: the offending field, where there is one.
        message: for people; never parse it.
    """

    event_id: str
    event_name: str
    outcome: Outcome
    code: str = ""
    field: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts since the client was made (in a forked child: since the fork).

    At every moment queued = accepted + duplicate + dropped + rejected + evicted + pending.

    Attributes:
        queued: events that `track` took.
        sent: events put on the wire, each as often as it was sent.
        accepted: stored, confirmed by the server after its commit.
        duplicate: confirmed as stored by an earlier try.
        dropped: left out by a rule of the tenant.
        rejected: refused for good.
        evicted: given up by this client.
        pending: waiting or sent, without a result yet.
    """

    queued: int
    sent: int
    accepted: int
    duplicate: int
    dropped: int
    rejected: int
    evicted: int
    pending: int
