"""A bound on the bytes of all request bodies that are held at once: over it, work is refused before it costs much."""

from collections.abc import Iterator
from contextlib import contextmanager

from obc_common.errors import Unavailable


class BodyBudget:
    """Counts bytes under way in this process."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0

    @contextmanager
    def hold(self, expected: int) -> Iterator[None]:
        """Holds room for a body while it is read and answered.

        Raises:
            Unavailable: OVERLOADED.
        """
        if self._held + expected > self._limit:
            raise Unavailable("OVERLOADED", "too many request bodies are under way", retry_after=1.0)
        self._held += expected
        try:
            yield
        finally:
            self._held -= expected


def expected_bytes(content_length: int | None, compressed: bool, limit: int) -> int:
    """What a body may come to, in bytes: its length, or its limit when the length says little."""
    if content_length is None:
        return limit
    # JSON of events deflates to a tenth and less; ten times the length is the honest guess.
    return min(limit, content_length * 10 if compressed else content_length)
