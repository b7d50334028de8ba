"""Our own bounded inflater: what a body inflates to is limited while it inflates, never afterwards.

aiohttp's automatic decompression answers a truncated body with half of it, takes `gzip, gzip` for raw and turns
"not gzip" into a 500, so it is switched off. Here every way of being wrong is a clear 4xx:

| body | error |
|---|---|
| inflates to more than the limit | BODY_TOO_LARGE (413) |
| more than one coding, or an unknown one (`br`) | UNSUPPORTED_ENCODING (415) |
| truncated, trailing bytes, a second member, not compressed at all | BAD_ENCODING (400) |
"""

import zlib
from typing import Protocol

from obc_common.errors import InvalidArgument
from obc_gateway.bodies.errors import too_large, unreadable
from obc_gateway.bodies.zstd_blocks import ZstdInflater

_STEP = 64 * 1024
_GZIP = 31  # zlib's window bits for "gzip header, nothing else"
_ZLIB = 15
_RAW = -15


class Inflater(Protocol):
    """Takes a body in pieces. After an error it must not be used again."""

    @property
    def size(self) -> int:
        """Inflated bytes so far."""
        ...

    def feed(self, piece: bytes) -> None:
        """Takes the next piece. Raises OutOfRange(BODY_TOO_LARGE) or InvalidArgument(BAD_ENCODING)."""
        ...

    def finish(self) -> bytes:
        """The whole inflated body. Raises InvalidArgument(BAD_ENCODING) when it is incomplete."""
        ...


def open_inflater(content_encoding: str, limit: int) -> Inflater:
    """The inflater for a Content-Encoding header (all of its lines, joined by commas).

    Args:
        content_encoding: the header; empty = not compressed.
        limit: most inflated bytes.

    Raises:
        InvalidArgument: UNSUPPORTED_ENCODING.
    """
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        return Verbatim(limit)
    if coding in ("gzip", "x-gzip"):
        return ZlibInflater(limit, gzip=True)
    if coding == "deflate":
        return ZlibInflater(limit, gzip=False)
    if coding == "zstd":
        return ZstdInflater(limit)
    raise InvalidArgument(
        "UNSUPPORTED_ENCODING",
        "Content-Encoding must be one of gzip, deflate, zstd, once.",
        metadata={"supported": "gzip, deflate, zstd"},
    )


class Verbatim:
    """No coding: only the limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._body = bytearray()

    @property
    def size(self) -> int:
        return len(self._body)

    def feed(self, piece: bytes) -> None:
        if len(self._body) + len(piece) > self._limit:
            raise too_large(self._limit)
        self._body += piece

    def finish(self) -> bytes:
        return bytes(self._body)


class ZlibInflater:
    """gzip (one member) or deflate. For deflate both forms in use are taken: zlib (RFC 9110) and raw (many clients)."""

    def __init__(self, limit: int, *, gzip: bool) -> None:
        self._limit = limit
        self._gzip = gzip
        self._start = b""
        self._stream: zlib._Decompress | None = zlib.decompressobj(_GZIP) if gzip else None
        self._body = bytearray()

    @property
    def size(self) -> int:
        return len(self._body)

    def feed(self, piece: bytes) -> None:
        if self._stream is None:
            self._start += piece
            if len(self._start) < 2:
                return
            piece, self._start = self._start, b""
            self._stream = zlib.decompressobj(_ZLIB if _has_zlib_header(piece) else _RAW)
        stream = self._stream
        if stream.eof and piece:
            raise unreadable("it goes on after its end")
        while piece:
            try:
                # One byte over the limit is enough to know; no step makes more than _STEP bytes at once.
                self._body += stream.decompress(piece, min(_STEP, self._limit + 1 - len(self._body)))
            except zlib.error as error:
                raise unreadable("it is not what Content-Encoding says") from error
            if len(self._body) > self._limit:
                raise too_large(self._limit)
            piece = stream.unconsumed_tail
        self._drain(stream)
        if stream.unused_data:
            raise unreadable("it goes on after its end")

    def finish(self) -> bytes:
        if self._stream is None or not self._stream.eof:
            raise unreadable("it is incomplete")
        return bytes(self._body)

    def _drain(self, stream: "zlib._Decompress") -> None:
        # zlib may have consumed all input and still hold output back: ask until there is no more.
        while not stream.eof:
            more = stream.decompress(b"", min(_STEP, self._limit + 1 - len(self._body)))
            if not more:
                return
            self._body += more
            if len(self._body) > self._limit:
                raise too_large(self._limit)


def _has_zlib_header(start: bytes) -> bool:
    return start[0] & 0x0F == 8 and (start[0] << 8 | start[1]) % 31 == 0
