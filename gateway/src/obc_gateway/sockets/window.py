"""The window of unacknowledged batches: with no credit left, the socket is not read."""

import asyncio


class Window:
    """The batches that are under way on one socket."""

    def __init__(self, credits: int) -> None:
        self._credits = credits
        self._seqs: dict[int, None] = {}  # in order of arrival
        self._changed = asyncio.Event()
        self._next_own_seq = -1

    def __contains__(self, seq: int) -> bool:
        return seq in self._seqs

    @property
    def unacked(self) -> list[int]:
        """Numbers of the batches that have no answer yet, oldest first."""
        return list(self._seqs)

    async def has_room(self) -> None:
        """Returns when another batch may be read."""
        while len(self._seqs) >= self._credits:
            self._changed.clear()
            await self._changed.wait()

    def open(self, seq: int | None) -> int:
        """Adds a batch; one without a number gets one of ours, from -1 downwards."""
        if seq is None:
            seq = self._next_own_seq
            self._next_own_seq -= 1
        self._seqs[seq] = None
        return seq

    def close(self, seq: int, credits: int | None = None) -> None:
        """A batch got its answer; `credits` is the new size of the window."""
        self._seqs.pop(seq, None)
        if credits is not None:
            self._credits = max(1, credits)
        self._changed.set()
