"""A bound on the bytes of all request bodies that are held at once: over it, work is refused before it costs much.

What has arrived counts, not what was announced: a client that announces much and sends nothing takes room from nobody.
Nobody may take all of it either. Write keys are public and beacons carry theirs in the body, so a tenant's share is
half of the room, and all the callers together whose credential is not read yet have a quarter.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from obc_common.errors import Unavailable

UNKNOWN_CALLER = ""


class Held:
    """The room that one body takes; it grows while the body arrives."""

    def __init__(self, budget: "BodyBudget", owner: str) -> None:
        self._budget = budget
        self._owner = owner
        self.size = 0

    def grow(self, size: int) -> None:
        """The body has so many bytes now. Raises Unavailable(OVERLOADED)."""
        self._budget.take(self._owner, size - self.size)
        self.size = size


class BodyBudget:
    """Counts bytes under way in this process.

    Args:
        limit: most bytes, all callers together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._held_by: defaultdict[str, int] = defaultdict(int)

    @contextmanager
    def hold(self, owner: str) -> Iterator[Held]:
        """Room for a body, kept until it is answered.

        Args:
            owner: the caller's tenant; UNKNOWN_CALLER while the credential is in the body itself.
        """
        held = Held(self, owner)
        try:
            yield held
        finally:
            self.take(owner, -held.size)

    def take(self, owner: str, size: int) -> None:
        """Counts bytes of an owner, negative ones when they are given back. Raises Unavailable(OVERLOADED)."""
        share = self._limit // (4 if owner == UNKNOWN_CALLER else 2)
        if size > 0 and (self._held + size > self._limit or self._held_by[owner] + size > share):
            raise Unavailable("OVERLOADED", "too many request bodies are under way", retry_after=1.0)
        self._held += size
        self._held_by[owner] += size
        if not self._held_by[owner]:
            del self._held_by[owner]
