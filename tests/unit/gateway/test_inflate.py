"""bad-inputs 20 and 22: every compressed body inflates exactly, within its bound, or is refused for a stated reason."""

import gzip
import random
import resource
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from obc_common.errors import DomainError
from obc_gateway.bodies.inflate import open_inflater

LIMIT = 4 * 1024 * 1024
BODY = b'{"events":[{"event_id":"0190"}]}' * 50


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def zstd_without_size(data: bytes) -> bytes:
    stream = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return stream.compress(data) + stream.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "zstd": ("zstd", zstandard.compress),
    "zstd of unknown size": ("zstd", zstd_without_size),
}
ENCODED = pytest.mark.parametrize("name", ENCODERS)


def inflate(coding: str, body: bytes, limit: int = LIMIT, step: int = 65_536) -> bytes:
    inflater = open_inflater(coding, limit)
    for start in range(0, len(body), step):
        inflater.feed(body[start : start + step])
    return inflater.finish()


def reason(coding: str, body: bytes, limit: int = LIMIT) -> str:
    with pytest.raises(DomainError) as caught:
        inflate(coding, body, limit)
    return caught.value.reason


@ENCODED
@given(data=st.binary(max_size=5000), repeat=st.integers(1, 300), step=st.integers(1, 5000))
def test_whatever_was_compressed_comes_back_whatever_the_pieces(name: str, data: bytes, repeat: int, step: int) -> None:
    coding, encode = ENCODERS[name]
    assert inflate(coding, encode(data * repeat), step=step) == data * repeat


@ENCODED
def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not(name: str) -> None:
    coding, encode = ENCODERS[name]
    data = random.Random(7).randbytes(100_000)
    assert inflate(coding, encode(data), limit=100_000) == data
    assert reason(coding, encode(data + b"x"), limit=100_000) == "BODY_TOO_LARGE"


@ENCODED
def test_a_truncated_body_is_refused_at_every_length(name: str) -> None:
    coding, encode = ENCODERS[name]
    whole = encode(BODY)
    assert {reason(coding, whole[:length]) for length in range(len(whole))} == {"BAD_ENCODING"}


@ENCODED
def test_a_trailing_byte_or_a_second_member_is_refused(name: str) -> None:
    coding, encode = ENCODERS[name]
    assert reason(coding, encode(BODY) + b"x") == "BAD_ENCODING"
    assert reason(coding, encode(BODY) + encode(BODY)) == "BAD_ENCODING"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_a_body_that_is_not_compressed_is_refused(coding: str) -> None:
    assert reason(coding, BODY) == "BAD_ENCODING"


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "gzip,zstd", "compress", "gzip;q=1"])
def test_an_unknown_or_doubled_coding_is_not_supported(coding: str) -> None:
    assert reason(coding, gzip.compress(BODY)) == "UNSUPPORTED_ENCODING"


def test_the_inner_layer_of_a_nested_body_is_just_bytes() -> None:
    inner = gzip.compress(BODY, mtime=1)
    assert inflate("gzip", gzip.compress(inner)) == inner


def test_a_corrupted_body_is_refused_by_its_checksum() -> None:
    for coding, whole in (("gzip", gzip.compress(BODY)), ("zstd", zstd_without_size(BODY))):
        assert reason(coding, whole[:-4] + bytes([whole[-4] ^ 1]) + whole[-3:]) == "BAD_ENCODING"


def zeros(total: int) -> Iterator[bytes]:
    block = bytes(1024 * 1024)
    yield from (block for _ in range(total // len(block)))


def bomb(coding: str) -> bytes:
    size = 200 * 1024 * 1024
    stream: Any
    if coding == "zstd":
        stream = zstandard.ZstdCompressor().compressobj()
    else:
        stream = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    return b"".join([*(stream.compress(block) for block in zeros(size)), stream.flush()])


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_refused_and_costs_less_than_8_mib(coding: str) -> None:
    body = bomb(coding)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert reason(coding, body) == "BODY_TOO_LARGE"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024
