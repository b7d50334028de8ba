"""One fuzz target: `python -m tests.fuzz.target NAME CORPUS [libFuzzer options]`; it asserts what the code promises.

Everything may be refused, and only with the errors that the code documents; what is taken must be what can be stored.
"""

import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["obc_ingest", "obc_gateway"]):
    from obc_common.errors import DomainError
    from obc_gateway.bodies.inflate import open_inflater
    from obc_gateway.bodies.inflate_stream import open_stream_inflater
    from obc_gateway.bodies.lines import LineChunks
    from obc_gateway.sockets.frames import parse_frame
    from obc_ingest.bad_rows import bad_row
    from obc_ingest.decode import decode_body, decode_frame
    from obc_ingest.event_lines import event_line
    from obc_ingest.limits import Limits
    from obc_ingest.model import Rejected
    from obc_ingest.scrub import scrub_event
    from obc_ingest.validate import Reception, validate

import orjson

_TENANT = "0190a000-0000-7000-8000-00000000000a"
_NOW = 1_760_000_000_600
_RECEPTION = Reception(_TENANT, _NOW, _NOW - 100, 0)
_LIMITS = Limits()
_BODY_LIMIT = 1024 * 1024


def validator(data: bytes) -> None:
    """Any JSON value: an event that PostgreSQL can store, or a rejection whose row it can store."""
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    try:
        event = validate(raw, _RECEPTION, _LIMITS)
    except Rejected as rejected:
        row = bad_row(raw, rejected, _TENANT, _NOW, "fuzz/1", minimal=False)
        assert len(row.body) <= 65_536
        assert not any("\0" in text for text in (row.code, row.field, row.message, row.event_id))
        assert rejected.code.replace("_", "").isalpha()
        assert rejected.code.islower()
        return
    scrub_event(event)
    line = event_line(event)
    line.encode()
    assert "\0" not in line
    for document in (orjson.dumps(event.properties), orjson.dumps(event.device_info)):
        # An escaped NUL is what jsonb refuses.
        assert b"\\u0000" not in document or b"\\\\u0000" in document
    # One line of as many fields as there are columns, whatever is inside them.
    assert line.count("\n") == 1
    assert line.count("\t") == 19
    assert event.event_id == event.event_id.lower()
    assert event.user_id != "null"


def frame_decoder(data: bytes) -> None:
    """Any bytes as a body, as a stream's frame, and as a WebSocket's text."""
    for decode in (decode_body, decode_frame):
        try:
            batch = decode(data, _TENANT, _LIMITS)
        except DomainError:
            continue
        assert 1 <= len(batch.events) <= _LIMITS.events
        assert batch.sent_at_ms >= 0
    text = data.decode("utf-8", "replace")
    parse_frame(text)


def import_lines(data: bytes) -> None:
    """Any bytes in any pieces: every line once, in order, in chunks that are bounded."""
    size = 1 + (data[0] if data else 0)
    cutter = LineChunks(1, most_lines=5, most_bytes=64, line_bytes=100)
    chunks = [chunk for start in range(0, len(data), size) for chunk in cutter.feed(data[start : start + size])]
    if (last := cutter.finish()) is not None:
        chunks.append(last)
    expected = [line[:101] for line in data.split(b"\n")]
    if not expected[-1]:
        expected.pop()
    assert [line for chunk in chunks for line in chunk.lines.split(b"\n")] == expected
    assert all(chunk.lines.count(b"\n") < 5 for chunk in chunks)


def inflaters(data: bytes) -> None:
    """Any bytes under any coding: bounded output, or a refusal."""
    coding = ("gzip", "deflate", "zstd", "")[data[0] % 4 if data else 0]
    body = data[1:]
    whole: bytes | None = None
    try:
        inflater = open_inflater(coding, _BODY_LIMIT)
        for start in range(0, len(body), 1000):
            inflater.feed(body[start : start + 1000])
        whole = inflater.finish()
        assert len(whole) <= _BODY_LIMIT
    except DomainError:
        pass
    if coding == "deflate":
        return
    try:
        stream = open_stream_inflater(coding)
        found, size = [], 0
        for start in range(0, len(body), 1000):
            for piece in stream.feed(body[start : start + 1000]):
                assert len(piece) <= 131_072
                found.append(piece)
                size += len(piece)
                if size > 8 * _BODY_LIMIT:
                    return
        found.append(stream.finish())
        assert whole is None or whole == b"".join(found)
    except DomainError:
        assert whole is None


_TARGETS: dict[str, Callable[[bytes], None]] = {
    "validator": validator,
    "frame_decoder": frame_decoder,
    "import_lines": import_lines,
    "inflaters": inflaters,
}


if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, _TARGETS[name])
    atheris.Fuzz()
