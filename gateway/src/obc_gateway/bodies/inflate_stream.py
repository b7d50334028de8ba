"""Inflates a body of any length piece by piece: what is held at once is bounded, the whole is not.

Unlike a batch, a file may be several gzip members or zstd frames one after the other: tools that compress in
parallel, and logs that are appended to, are written so.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

from obc_common.errors import InvalidArgument
from obc_gateway.bodies.errors import unreadable
from obc_gateway.bodies.zstd_blocks import ZstdStream

_STEP = 64 * 1024
_GZIP = 31  # zlib's window bits for "gzip header, nothing else"


class StreamInflater(Protocol):
    """Takes a body in pieces and gives it back inflated. After an error it must not be used again."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The next inflated pieces, 128 KiB at most each. Raises InvalidArgument(BAD_ENCODING)."""
        ...

    def finish(self) -> bytes:
        """What was held back to the end. Raises InvalidArgument(BAD_ENCODING) when the body is incomplete."""
        ...


def open_stream_inflater(content_encoding: str) -> StreamInflater:
    """The inflater for a Content-Encoding header (all of its lines, joined by commas).

    Raises:
        InvalidArgument: UNSUPPORTED_ENCODING.
    """
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        return _Verbatim()
    if coding in ("gzip", "x-gzip"):
        return _GzipStream()
    if coding == "zstd":
        return ZstdStream()
    raise InvalidArgument(
        "UNSUPPORTED_ENCODING",
        "Content-Encoding of an import must be gzip or zstd, once.",
        metadata={"supported": "gzip, zstd"},
    )


class _Verbatim:
    def feed(self, piece: bytes) -> Iterator[bytes]:
        yield piece

    def finish(self) -> bytes:
        return b""


class _GzipStream:
    """gzip, any number of members."""

    def __init__(self) -> None:
        self._member: zlib._Decompress | None = None
        self._members = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            if self._member is None:
                self._member = zlib.decompressobj(_GZIP)
                self._members += 1
            yield from self._inflate(self._member, piece)
            piece = self._member.unused_data
            if self._member.eof:
                self._member = None

    def finish(self) -> bytes:
        if self._member is not None or not self._members:
            raise unreadable("it is incomplete")
        return b""

    def _inflate(self, member: "zlib._Decompress", piece: bytes) -> Iterator[bytes]:
        while not member.eof:
            try:
                inflated = member.decompress(piece, _STEP)
            except zlib.error as error:
                raise unreadable("it is not what Content-Encoding says") from error
            piece = member.unconsumed_tail
            if inflated:
                yield inflated
            elif not piece:
                return  # zlib may hold output back after it has taken all input: ask until there is no more
