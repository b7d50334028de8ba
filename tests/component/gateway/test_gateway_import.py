"""POST /v1/import through a real gateway: both ways at once, bounded, and with an end that says where to go on."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
import zstandard

from obc_common.errors import Unavailable
from tests.component.gateway.conftest import Edge, StartEdge
from tests.support.eventually import eventually
from tests.support.fake_services.recorder import TENANT_B

_PATH = "/v1/import"
_NDJSON = {"Content-Type": "application/x-ndjson"}


def headers(edge: Edge, **more: str) -> dict[str, str]:
    """A secret key that may ingest, and NDJSON."""
    return edge.key("secret", scopes=("ingest",)) | _NDJSON | more


def lines(count: int) -> bytes:
    """Lines that are small and all different."""
    return b"".join(b'{"n":%d}\n' % index for index in range(count))


async def post(edge: Edge, body: Any, query: str = "", **more: str) -> tuple[int, list[dict[str, Any]]]:
    """The status, and the answer's lines."""
    async with edge.http.post(_PATH + query, data=body, headers=headers(edge, **more)) as answer:
        return answer.status, [orjson.loads(line) for line in (await answer.read()).splitlines()]


@pytest.mark.parametrize(
    ("coding", "encode"), [("identity", bytes), ("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
async def test_a_file_arrives_in_chunks_and_every_line_is_answered(edge: Edge, coding: str, encode: Any) -> None:
    status, answer = await post(edge, encode(lines(4500)), **{"Content-Encoding": coding})

    assert status == 200
    assert [line["line"] for line in answer[:-1]] == list(range(1, 4501))
    assert answer[-1] == {
        "summary": {"complete": True, "next_line": 4501, "accepted": 4500, "duplicate": 0, "dropped": 0, "rejected": 0}
    }
    requests = edge.suite.ingest.import_requests
    assert [request.first_line for request in requests] == [1, 2001, 4001]
    assert b"\n".join(request.lines for request in requests) + b"\n" == lines(4500)
    assert all(len(request.lines) < 1_200_000 for request in requests)


async def test_an_import_that_goes_on_numbers_its_lines_from_there(edge: Edge) -> None:
    status, answer = await post(edge, lines(2), "?first_line=1001&results=none")

    assert (status, answer[-1]["summary"]["next_line"]) == (200, 1003)
    [request] = edge.suite.ingest.import_requests
    assert (request.first_line, request.results) == (1001, 3)


async def test_nothing_to_import_is_no_mistake(edge: Edge) -> None:
    status, answer = await post(edge, b"")

    assert (status, [line["summary"]["complete"] for line in answer]) == (200, [True])


async def test_answers_come_while_the_file_is_still_being_sent(edge: Edge) -> None:
    # given a client that sends its second half once the first is answered
    answered = asyncio.Event()

    async def halves() -> AsyncIterator[bytes]:
        yield lines(2000)
        await answered.wait()
        yield lines(1)

    async with edge.http.post(_PATH, data=halves(), headers=headers(edge)) as answer:
        first = await answer.content.readline()
        # then
        assert orjson.loads(first)["line"] == 1
        answered.set()
        rest = await answer.read()
    assert orjson.loads(rest.splitlines()[-1])["summary"]["accepted"] == 2001


async def test_a_slow_ingest_makes_the_client_wait(edge: Edge) -> None:
    # given an ingest that answers nothing
    edge.suite.ingest.ack_gate.clear()
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b'{"padding":"%s"}\n' % (b"x" * 60_000)

    posting = asyncio.create_task(post(edge, endless()))
    try:
        # when the client sends as fast as it can
        progress = -1
        while progress != sent:
            progress = sent
            await asyncio.sleep(0.3)
        # then only a few MiB were taken
        assert sent * 60_000 < 24 * 1024 * 1024
    finally:
        posting.cancel()
        edge.suite.ingest.ack_gate.set()


async def test_a_client_that_goes_away_ends_the_import(edge: Edge) -> None:
    async def forever() -> AsyncIterator[bytes]:
        yield lines(2000)
        await asyncio.Event().wait()

    posting = asyncio.create_task(post(edge, forever()))
    await eventually(lambda: len(edge.suite.ingest.import_requests) == 1)
    posting.cancel()

    await eventually(lambda: edge.suite.ingest.stream_ends == 1)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_line_22_a_truncated_file_ends_with_an_error_after_what_was_whole(edge: Edge, coding: str) -> None:
    # given a file of 5,000 lines that was cut
    encode = gzip.compress if coding == "gzip" else zstandard.compress
    rows = b"".join(b'{"n":%d,"m":"%s"}\n' % (n, (b"%x" % (n * 2_654_435_761 % 2**64)) * 9) for n in range(5000))
    whole = encode(rows)
    # when
    status, answer = await post(edge, whole[: len(whole) * 9 // 10], **{"Content-Encoding": coding})
    # then
    error, summary = answer[-2]["error"], answer[-1]["summary"]
    assert (status, error["reason"], summary["complete"]) == (200, "BAD_ENCODING", False)
    assert summary["next_line"] == summary["accepted"] + 1 > 2001
    stored = b"\n".join(request.lines for request in edge.suite.ingest.import_requests)
    assert rows.startswith(stored + b"\n")


async def test_what_is_no_gzip_at_all_has_a_status_of_its_own(edge: Edge) -> None:
    status, [answer] = await post(edge, lines(3), **{"Content-Encoding": "gzip"})

    assert (status, answer["error"]["reason"]) == (400, "BAD_ENCODING")


async def test_line_21_a_client_that_sends_no_more_is_answered_and_ended(start_edge: StartEdge) -> None:
    # given a deadline for the next bytes, not for the whole
    edge = await start_edge(import_idle_seconds=0.4)

    async def halting() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield lines(1000)
            await asyncio.sleep(0.2)
        yield b'{"half'
        await asyncio.Event().wait()

    async with edge.http.post(_PATH, data=halting(), headers=headers(edge)) as answer:
        received = [orjson.loads(line) for line in (await answer.read()).splitlines()]

    assert received[-2]["error"]["reason"] == "BODY_TIMEOUT"
    assert received[-1]["summary"]["next_line"] == 4001


async def test_an_ingest_that_fails_later_is_told_with_the_line_to_go_on_with(edge: Edge) -> None:
    fake = edge.suite.ingest

    async def halves() -> AsyncIterator[bytes]:
        yield lines(2000)
        await eventually(lambda: len(fake.import_requests) == 1)
        await asyncio.sleep(0.05)
        fake.failure = Unavailable("DATABASE_UNAVAILABLE", "away", retry_after=1.0)
        yield lines(2000)

    status, answer = await post(edge, halves())

    assert (status, answer[-2]["error"]["reason"]) == (200, "DATABASE_UNAVAILABLE")
    assert (answer[-1]["summary"]["complete"], answer[-1]["summary"]["next_line"]) == (False, 2001)


async def test_an_ingest_that_fails_at_once_is_a_status(edge: Edge) -> None:
    edge.suite.ingest.failure = Unavailable("DATABASE_UNAVAILABLE", "away", retry_after=1.0)

    async with edge.http.post(_PATH, data=lines(1), headers=headers(edge)) as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"


async def test_a_drain_ends_an_import_with_the_line_to_go_on_with(edge: Edge) -> None:
    more = asyncio.Event()

    async def halves() -> AsyncIterator[bytes]:
        yield lines(2000)
        await more.wait()

    async with edge.http.post(_PATH, data=halves(), headers=headers(edge)) as answer:
        assert (await answer.content.readline()).startswith(b'{"line":1,')
        stopping = asyncio.create_task(edge.gateway.stop())
        received = (await answer.read()).splitlines()
    more.set()
    await stopping

    assert orjson.loads(received[-2])["error"]["reason"] == "DRAINING"
    assert orjson.loads(received[-1])["summary"]["next_line"] == 2001


@pytest.mark.parametrize(
    ("kind", "scopes", "status", "reason"),
    [
        ("write", (), 403, "SECRET_KEY_REQUIRED"),
        ("secret", ("query",), 403, "SCOPE_MISSING"),
    ],
)
async def test_line_25_who_may_not_import(
    edge: Edge, kind: str, scopes: tuple[str, ...], status: int, reason: str
) -> None:
    key = edge.key(kind, scopes=scopes)
    async with edge.http.post(_PATH, data=lines(1), headers=key | _NDJSON) as answer:
        assert (answer.status, (await answer.json())["error"]["reason"]) == (status, reason)


@pytest.mark.parametrize(
    ("query", "more", "status", "reason"),
    [
        ("", {"Content-Type": "application/json"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("", {"Content-Encoding": "br"}, 415, "UNSUPPORTED_ENCODING"),
        ("", {"X-Tenant-ID": TENANT_B}, 403, "TENANT_MISMATCH"),
        ("?first_line=0", {}, 400, "BAD_FIELD"),
        ("?first_line=x", {}, 400, "BAD_FIELD"),
        ("?results=some", {}, 400, "BAD_FIELD"),
        ("?dry_run=1", {}, 400, "UNKNOWN_FIELD"),
        ("?key=wk_live_x", {}, 400, "UNKNOWN_FIELD"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(
    edge: Edge, query: str, more: dict[str, str], status: int, reason: str
) -> None:
    found, [answer] = await post(edge, lines(1), query, **more)

    assert (found, answer["error"]["reason"]) == (status, reason)
    assert edge.suite.ingest.import_requests == []


async def test_line_28_no_page_of_a_browser_may_import(edge: Edge) -> None:
    preflight = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    async with edge.http.options(_PATH, headers=preflight) as answer:
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_client_that_reads_nothing_is_dropped(start_edge: StartEdge) -> None:
    # given a client that sends everything before it reads
    edge = await start_edge(socket_send_seconds=0.5)
    _, writer = await asyncio.open_connection("127.0.0.1", edge.port, limit=1024)
    try:
        key = "".join(f"{name}: {value}\r\n" for name, value in headers(edge).items())
        head = f"POST {_PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{key}\r\n"
        writer.write(head.encode())
        chunk = b"{}\n" * 100_000
        # when its answer is larger than what the sockets hold
        with pytest.raises((ConnectionError, aiohttp.ClientError)):
            async with asyncio.timeout(60):
                while True:
                    writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                    await writer.drain()
        # then ingest's stream has ended too
        await eventually(lambda: edge.suite.ingest.stream_ends == 1, timeout=20)
    finally:
        writer.close()
