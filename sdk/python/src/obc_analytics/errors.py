"""What the SDK raises, and what it reports from the background.

Only `track`, `flush` and `close` raise, in the caller's own thread. Whatever goes wrong in the background is logged and
handed to `on_error`; it never reaches the host application as an exception.
"""


class AnalyticsError(Exception):
    """Anything the SDK raises or reports."""


class InvalidEvent(AnalyticsError, ValueError):
    """The event can never be accepted; it was not queued.

    Attributes:
        field: the offending argument of `track`, e.g. `user_id` or `properties.plan`.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class QueueFull(AnalyticsError):
    """There is no room for the event, and the policy is not to make some; it was not queued."""


class ClientClosed(AnalyticsError):
    """The client was closed; the event was not queued."""


class FlushTimeout(AnalyticsError, TimeoutError):
    """Not everything was delivered in time. Nothing is lost by that: delivery goes on.

    Attributes:
        pending: events that still wait for their result.
        problem: what delivery met last; None when it is merely slow.
    """

    def __init__(self, pending: int, problem: "DeliveryProblem | None") -> None:
        because = f": {problem}" if problem else ""
        super().__init__(f"{pending} events are not delivered yet{because}")
        self.pending = pending
        self.problem = problem


class DeliveryProblem(AnalyticsError):
    """Delivery does not get on at the moment; it is tried again. Given to `on_error`, never raised by `track`.

    Attributes:
        code: gRPC status name or HTTP status, e.g. `UNAVAILABLE` or `503`; `` when no answer came.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code


class Unreachable(DeliveryProblem):
    """No connection, a lost one, or no answer in time."""


class CredentialRefused(DeliveryProblem):
    """The key is wrong, revoked or lacks scope `ingest`. Events are kept in case it becomes right."""


class ServerBusy(DeliveryProblem):
    """The server asked for patience: a rate limit, an overload, a drain."""


class BrokenAnswer(DeliveryProblem):
    """The server's answer makes no sense; what was sent is sent again."""
