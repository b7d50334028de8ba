"""Bodies of any length: lines cut into chunks, and inflation piece by piece."""

import gzip
import random
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from obc_common.errors import InvalidArgument
from obc_gateway.bodies.inflate_stream import open_stream_inflater
from obc_gateway.bodies.lines import Chunk, LineChunks


def lines_of(chunks: list[Chunk]) -> list[bytes]:
    """All lines of chunks, in order."""
    return [line for chunk in chunks for line in chunk.lines.split(b"\n")]


def pieces(data: bytes, size: int) -> list[bytes]:
    """The data as a network would deliver it."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def inflate(coding: str, data: bytes, size: int) -> bytes:
    """The whole, inflated in pieces; no piece may be larger than 128 KiB."""
    inflater = open_stream_inflater(coding)
    found = [part for piece in pieces(data, size) for part in inflater.feed(piece)]
    assert max(map(len, found), default=0) <= max(size, 131_072)
    return b"".join(found) + inflater.finish()


@given(st.binary(max_size=300), st.integers(1, 50), st.integers(1, 6), st.integers(1, 60))
def test_chunks_hold_every_line_once_and_in_order(data: bytes, size: int, most_lines: int, most_bytes: int) -> None:
    cutter = LineChunks(7, most_lines=most_lines, most_bytes=most_bytes, line_bytes=1000)
    chunks = [chunk for piece in pieces(data, size) for chunk in cutter.feed(piece)]
    if (last := cutter.finish()) is not None:
        chunks.append(last)

    expected = data.split(b"\n")
    assert lines_of(chunks) == (expected if expected[-1] else expected[:-1])
    line = 7
    for chunk in chunks:
        assert chunk.first_line == line
        line += chunk.lines.count(b"\n") + 1
        assert chunk.lines.count(b"\n") < most_lines


def test_a_line_without_end_is_cut_and_never_held_whole() -> None:
    cutter = LineChunks(1, most_lines=10, most_bytes=1000, line_bytes=100)

    for _ in range(1000):
        assert list(cutter.feed(b"x" * 10_000)) == []
    assert list(cutter.feed(b"\nnext")) == []

    last = cutter.finish()
    assert last is not None
    assert last.lines == b"x" * 101 + b"\nnext"


def test_a_line_that_broke_off_is_not_whole() -> None:
    cutter = LineChunks(1, most_lines=10, most_bytes=1000, line_bytes=100)
    assert list(cutter.feed(b"one\ntwo\nthr")) == []

    assert cutter.whole() == Chunk(1, b"one\ntwo")


_TEXT = random.Random(1).randbytes(3000) * 200 + b"\n" + b"0" * 2_000_000
_ENCODERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("", lambda data: data),
    ("identity", lambda data: data),
    ("gzip", gzip.compress),
    ("zstd", zstandard.compress),
    ("zstd", zstandard.ZstdCompressor(write_checksum=True, write_content_size=False).compress),
]


@pytest.mark.parametrize(("coding", "encode"), _ENCODERS)
@pytest.mark.parametrize("size", [1009, 65_536])
def test_what_was_compressed_comes_back_in_bounded_pieces(
    coding: str, encode: Callable[[bytes], bytes], size: int
) -> None:
    assert inflate(coding, encode(_TEXT), size) == _TEXT


@pytest.mark.parametrize(("coding", "encode"), _ENCODERS[2:])
@pytest.mark.parametrize("size", [1, 65_536])
def test_several_members_or_frames_are_one_file(coding: str, encode: Callable[[bytes], bytes], size: int) -> None:
    parts = [b"one\n" * 50, b"", b"two\n", b"three\n" * 9]

    assert inflate(coding, b"".join(map(encode, parts)), size) == b"".join(parts)


@pytest.mark.parametrize(("coding", "encode"), _ENCODERS[2:])
def test_line_22_a_file_that_is_cut_or_no_such_file_is_refused(coding: str, encode: Callable[[bytes], bytes]) -> None:
    whole = encode(_TEXT)
    for broken in (whole[:-1], whole[: len(whole) // 2], whole[:5], b"", b"no such file at all, really", whole + b"xx"):
        with pytest.raises(InvalidArgument) as refused:
            inflate(coding, broken, 4096)
        assert refused.value.reason == "BAD_ENCODING"


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "compress"])
def test_line_22_other_codings_are_refused(coding: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        open_stream_inflater(coding)
    assert refused.value.reason == "UNSUPPORTED_ENCODING"
