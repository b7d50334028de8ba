"""A limit on failed authentications per client. It is local and needs nothing else, so it cannot fail open."""

from collections import OrderedDict

from obc_common.clock import Clock
from obc_common.errors import ResourceExhausted

_MOST_CLIENTS = 50_000


class FailureLimiter:
    """A token bucket per client network.

    Args:
        clock: time.
        per_second: failures that are forgiven.
        burst: failures at once before the client has to wait.
    """

    def __init__(self, clock: Clock, per_second: float, burst: int) -> None:
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        # client -> (failures left to forgive, when that was counted); least recently failed first
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, client: str) -> None:
        """Raises ResourceExhausted(TOO_MANY_AUTH_FAILURES) while the client has to wait before its next guess."""
        over = self._level(client) + 1 - self._burst
        if over > 0:
            raise ResourceExhausted(
                "TOO_MANY_AUTH_FAILURES",
                "Too many failed authentications from this address.",
                retry_after=over / self._per_second,
            )

    def failed(self, client: str) -> None:
        """Counts a failure."""
        self._failures[client] = (self._level(client) + 1, self._clock.monotonic())
        self._failures.move_to_end(client)
        while len(self._failures) > _MOST_CLIENTS:
            self._failures.popitem(last=False)

    def _level(self, client: str) -> float:
        level, since = self._failures.get(client, (0.0, 0.0))
        return max(0.0, level - (self._clock.monotonic() - since) * self._per_second)
