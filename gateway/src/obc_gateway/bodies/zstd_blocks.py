"""Bounded inflation of zstd (RFC 8878), of a whole body and of a stream.

The library's streaming object has no output limit, and four bytes of input can stand for 128 KiB of output. A frame is
made of blocks, though, and a block never inflates to more than 128 KiB: so the frame is cut at its blocks and one block
is inflated at a time. The same walk finds a truncated frame and trailing bytes exactly.
"""

import math
from collections.abc import Iterator

import zstandard

from obc_gateway.bodies.errors import too_large, unreadable

_MAX_WINDOW = 8 * 1024 * 1024  # what RFC 8878 asks every decoder to support
_MAX_FRAME_HEADER = 18
_BLOCK_HEADER = 3
_MAX_BLOCK = 128 * 1024
_CHECKSUM = 4
_RLE, _RESERVED = 1, 3


class ZstdInflater:
    """One zstd frame, no dictionary, no skippable frames. `limit` is infinite for one frame of a stream."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._pending = bytearray()
        self._body = bytearray()
        self._stream = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj()
        self._frame_open = False
        self._checksum = False
        self._last_block_seen = False
        self._complete = False

    @property
    def size(self) -> int:
        return len(self._body) + len(self._pending)

    def feed(self, piece: bytes) -> None:
        self._pending += piece
        if not self._frame_open and not self._open_frame(at_end=False):
            return
        while self._next_block():
            pass

    def finish(self) -> bytes:
        if not self._frame_open:
            self._open_frame(at_end=True)
            while self._next_block():
                pass
        if not self._complete:
            raise unreadable("it is incomplete")
        return bytes(self._body)

    def _open_frame(self, *, at_end: bool) -> bool:
        if len(self._pending) < _MAX_FRAME_HEADER and not at_end:
            return False
        try:
            frame = zstandard.get_frame_parameters(bytes(self._pending[:_MAX_FRAME_HEADER]))
            size = zstandard.frame_header_size(bytes(self._pending[:_MAX_FRAME_HEADER]))
        except zstandard.ZstdError as error:
            raise unreadable("it is not zstd") from error
        if frame.dict_id or frame.window_size > _MAX_WINDOW:
            raise unreadable("it needs a dictionary or a window over 8 MiB")
        if frame.content_size != zstandard.CONTENTSIZE_UNKNOWN and frame.content_size > self._limit:
            raise too_large(int(self._limit))
        self._checksum = frame.has_checksum
        self._inflate(size)
        self._frame_open = True
        return True

    def _next_block(self) -> bool:
        """Takes one block, or the checksum after the last; False when more input is needed or the frame is over."""
        if self._complete:
            if self._pending:
                raise unreadable("it goes on after its end")
            return False
        if self._last_block_seen:
            return self._close_frame()
        if len(self._pending) < _BLOCK_HEADER:
            return False
        header = int.from_bytes(self._pending[:_BLOCK_HEADER], "little")
        kind, size = header >> 1 & 3, header >> 3
        if kind == _RESERVED or size > _MAX_BLOCK:
            raise unreadable("a block of it is not valid")
        length = _BLOCK_HEADER + (1 if kind == _RLE else size)
        if len(self._pending) < length:
            return False
        self._last_block_seen = bool(header & 1)
        self._inflate(length)
        return True

    def _close_frame(self) -> bool:
        if self._checksum:
            if len(self._pending) < _CHECKSUM:
                return False
            self._inflate(_CHECKSUM)
        self._complete = True
        return True

    def _inflate(self, length: int) -> None:
        try:
            self._body += self._stream.decompress(bytes(self._pending[:length]))
        except zstandard.ZstdError as error:
            raise unreadable("it is not what Content-Encoding says") from error
        del self._pending[:length]
        if len(self._body) > self._limit:
            raise too_large(int(self._limit))

    def take_over(self) -> tuple[bytes, bytes | None]:
        """What is inflated by now, and, once the frame is over, the bytes behind it."""
        body = bytes(self._body)
        self._body.clear()
        if not self._complete:
            return body, None
        rest = bytes(self._pending)
        self._pending.clear()
        return body, rest

    def step(self, piece: bytes) -> bool:
        """Takes a piece, which may be empty, and inflates one block at most; False when more input is needed."""
        self._pending += piece
        if not self._frame_open and not self._open_frame(at_end=False):
            return False
        return not self._complete and self._next_block()


class ZstdStream:
    """Any number of frames, one after the other, inflated block by block."""

    def __init__(self) -> None:
        self._frame: ZstdInflater | None = None
        self._frames = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        rest: bytes | None = piece
        while rest:
            if self._frame is None:
                self._frame = ZstdInflater(math.inf)
                self._frames += 1
            more, rest = self._frame.step(rest), None
            while more:
                body, rest = self._frame.take_over()
                if body:
                    yield body
                if rest is not None:
                    self._frame = None
                    break
                more = self._frame.step(b"")

    def finish(self) -> bytes:
        if not self._frames:
            raise unreadable("it is incomplete")
        # A frame of fewer bytes than the longest header has is read only now.
        return self._frame.finish() if self._frame is not None else b""
