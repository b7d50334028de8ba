"""Waiting between tries: full jitter, so that a thousand clients of a restarted server do not come back at once."""

from random import Random


class Backoff:
    """The wait after each failure in a row: anything between 0 and a bound that doubles up to `longest`.

    Args:
        first: the first bound, seconds.
        longest: the last bound, seconds. There is no last try.
        random: where the jitter comes from; tests give a seeded one.
    """

    def __init__(self, first: float, longest: float, random: Random) -> None:
        self._first = first
        self._longest = longest
        self._random = random
        self._bound = first

    def next(self) -> float:
        """Seconds to wait now."""
        bound, self._bound = self._bound, min(self._longest, self._bound * 2)
        return self._random.uniform(0.0, bound)

    def reset(self) -> None:
        """Something was delivered: the next failure is a first one."""
        self._bound = self._first
