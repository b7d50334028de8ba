"""Cuts a stream of bytes into chunks of whole lines, holding one chunk at most."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chunk:
    r"""Whole lines, `\n` between them, and the number of the first."""

    first_line: int
    lines: bytes


class LineChunks:
    """Collects lines.

    Args:
        first_line: number of the first line.
        most_lines: lines of one chunk.
        most_bytes: bytes at which a chunk is full; it may be longer by one line.
        line_bytes: a longer line is cut one byte behind this, which tells that it was longer.
    """

    def __init__(self, first_line: int, *, most_lines: int, most_bytes: int, line_bytes: int) -> None:
        self._first_line = first_line
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._cut = line_bytes + 1
        self._lines: list[bytes] = []
        self._size = 0
        self._begun = bytearray()

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Takes the next bytes; gives the chunks that they fill."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._grow(end)
            self._lines.append(bytes(self._begun))
            self._size += len(self._begun) + 1
            self._begun.clear()
            if len(self._lines) >= self._most_lines or self._size >= self._most_bytes:
                yield self._take()
        self._grow(rest)

    def whole(self) -> Chunk | None:
        """What is left of whole lines; a line that has no end yet is not among them."""
        return self._take() if self._lines else None

    def finish(self) -> Chunk | None:
        """What is left, the last line included even when it ends without a line break."""
        if self._begun:
            self._lines.append(bytes(self._begun))
            self._begun.clear()
        return self.whole()

    def _grow(self, part: bytes) -> None:
        self._begun += part[: self._cut - len(self._begun)]

    def _take(self) -> Chunk:
        chunk = Chunk(self._first_line, b"\n".join(self._lines))
        self._first_line += len(self._lines)
        self._lines = []
        self._size = 0
        return chunk
