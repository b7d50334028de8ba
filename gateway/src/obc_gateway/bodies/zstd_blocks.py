"""Bounded inflation of zstd (RFC 8878).

The library's streaming object has no output limit, and four bytes of input can stand for 128 KiB of output. A frame is
made of blocks, though, and a block never inflates to more than 128 KiB: so the frame is cut at its blocks and one block
is inflated at a time. The same walk finds a truncated frame and trailing bytes exactly.
"""

import zstandard

from obc_gateway.bodies.errors import too_large, unreadable

_MAX_WINDOW = 8 * 1024 * 1024  # what RFC 8878 asks every decoder to support
_MAX_FRAME_HEADER = 18
_BLOCK_HEADER = 3
_MAX_BLOCK = 128 * 1024
_CHECKSUM = 4
_RLE, _RESERVED = 1, 3


class ZstdInflater:
    """One zstd frame, no dictionary, no skippable frames."""

    def __init__(self, limit: int) -> None:
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
            raise too_large(self._limit)
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
            raise too_large(self._limit)
