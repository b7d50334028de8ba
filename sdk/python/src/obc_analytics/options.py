"""Everything that can be tuned; the defaults suit a service that sends up to some thousand events a second."""

from dataclasses import dataclass, fields
from enum import StrEnum

_MAX_BATCH_EVENTS = 1000
_MAX_BATCH_BYTES = 4 * 1024 * 1024


class WhenFull(StrEnum):
    """What `track` does when the queue is full."""

    BLOCK = "block"
    """Wait for room up to `block_seconds`, then raise QueueFull."""
    DROP_OLDEST = "drop_oldest"
    """Give up the oldest waiting events, counted as `evicted` and told to `on_dropped`."""
    RAISE = "raise"
    """Raise QueueFull at once."""


@dataclass(frozen=True, slots=True)
class Options:
    """Tuning. Times in seconds, sizes in bytes.

    Attributes:
        queue_events: most events without a result, waiting and sent together.
        queue_bytes: most bytes of them, as JSON.
        when_full: what `track` does then.
        block_seconds: how long `track` waits for room with `when_full=WhenFull.BLOCK`.
        batch_events: most events of one batch; the server takes at most 1,000.
        batch_bytes: most bytes of one batch; the server takes at most 4 MiB.
        batch_seconds: longest wait of an event for company.
        connect_seconds: how long a connection may take to become ready.
        ack_seconds: how long a batch may wait for its answer; then it is sent again on a new connection.
        backoff_seconds: mean of twice the first wait after a failure; it doubles with each further one.
        backoff_max_seconds: the longest wait. There is no last try.
        fallback_failures: connections over gRPC that must fail in a row before REST is used, when both are given.
        grpc_retry_seconds: how long REST is used before gRPC is tried again.
        close_seconds: how long leaving a `with` block, and the end of the process, wait for delivery.
    """

    queue_events: int = 10_000
    queue_bytes: int = 32 * 1024 * 1024
    when_full: WhenFull = WhenFull.BLOCK
    block_seconds: float = 1.0
    batch_events: int = 200
    batch_bytes: int = 512 * 1024
    batch_seconds: float = 0.1
    connect_seconds: float = 5.0
    ack_seconds: float = 30.0
    backoff_seconds: float = 0.5
    backoff_max_seconds: float = 30.0
    fallback_failures: int = 2
    grpc_retry_seconds: float = 30.0
    close_seconds: float = 5.0

    def __post_init__(self) -> None:
        """Raises ValueError naming the option."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "when_full" and not value > 0:
                raise ValueError(f"{field.name} must be more than 0")
        WhenFull(self.when_full)
        if self.batch_events > min(_MAX_BATCH_EVENTS, self.queue_events):
            raise ValueError(f"batch_events may be at most {_MAX_BATCH_EVENTS}, and at most queue_events")
        if self.batch_bytes > min(_MAX_BATCH_BYTES, self.queue_bytes):
            raise ValueError(f"batch_bytes may be at most {_MAX_BATCH_BYTES}, and at most queue_bytes")
        if self.backoff_max_seconds < self.backoff_seconds:
            raise ValueError("backoff_max_seconds must be at least backoff_seconds")
