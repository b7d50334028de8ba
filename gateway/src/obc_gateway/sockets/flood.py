"""A bound on frames that carry no events: they cost no credit, so a rate is all that limits them."""

from obc_common.clock import Clock


class FloodGate:
    """A token bucket for one socket.

    Args:
        clock: time.
        burst: frames at once.
        per_second: frames in the long run.
    """

    def __init__(self, clock: Clock, burst: int, per_second: float) -> None:
        self._clock = clock
        self._burst = burst
        self._per_second = per_second
        self._tokens = float(burst)
        self._filled_at = clock.monotonic()

    def admit(self) -> bool:
        """Counts a frame; False when it is flooding."""
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
