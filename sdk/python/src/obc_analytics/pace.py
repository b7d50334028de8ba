"""When the next try may be made."""

from random import Random

from obc_analytics.backoff import Backoff
from obc_analytics.clock import Clock


class Pace:
    """A pause after each failure. Used by the courier's thread alone.

    Args:
        backoff: how long the pauses are.
        clock: measures them.
    """

    def __init__(self, backoff: Backoff, clock: Clock) -> None:
        self._backoff = backoff
        self._clock = clock
        self._until = 0.0

    @classmethod
    def of(cls, first: float, longest: float, clock: Clock, random: Random) -> "Pace":
        """With a backoff of these bounds, seconds."""
        return cls(Backoff(first, longest, random), clock)

    def fail(self, at_least: float = 0.0) -> float:
        """Something failed: pause for what the server asked (seconds), and some jitter more; how long.

        What fails during a pause was under way before it: the pause may become longer, but the next one does not.
        """
        pause = max(at_least, self.left()) if self.left() > 0 else at_least + self._backoff.next()
        self._until = self._clock.monotonic() + pause
        return pause

    def succeed(self) -> None:
        """Something was delivered."""
        self._backoff.reset()

    def left(self) -> float:
        """Seconds until the pause is over; 0 = it is."""
        return max(0.0, self._until - self._clock.monotonic())
