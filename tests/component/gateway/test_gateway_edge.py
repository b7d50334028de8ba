"""The HTTP edge of a real gateway: malformed requests, deadlines, headers, CORS, limits, drain."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest

from obc_common.errors import Internal
from tests.component.gateway.conftest import Edge, StartEdge
from tests.support.eventually import eventually
from tests.support.fake_services.recorder import TENANT_A

BATCH = {"events": [{"event_id": "0190a000-0000-7000-8000-000000000001", "event_name": "x", "timestamp": 1}]}


@contextlib.asynccontextmanager
async def raw(edge: Edge) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(edge: Edge, request: bytes, timeout: float = 5) -> tuple[int, dict[str, str], bytes]:
    """Sends bytes and reads one answer: status, headers, body."""
    async with raw(edge) as (reader, writer), asyncio.timeout(timeout):
        writer.write(request)
        return await read_answer(reader)


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status_line, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(status_line.split()[1]), headers, body


POST = b"POST /v1/events:batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: +5\r\n\r\n12345",
        POST + b"X-Bad: a\x00b\r\n\r\n",
        POST + b"X-Big: " + b"a" * 16_384 + b"\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 8_200 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_line_24_malformed_http_is_400_in_our_error_body_with_our_headers(
    edge: Edge, request_bytes: bytes
) -> None:
    status, headers, body = await exchange(edge, request_bytes)
    assert (status, orjson.loads(body)["error"]["code"]) == (400, 400)
    assert headers["x-content-type-options"] == "nosniff"
    assert "aiohttp" not in headers["server"].lower()


async def test_line_24_a_bad_chunk_size_is_400(edge: Edge) -> None:
    key = edge.suite.tenant_config.make_key("write")
    request = POST + f"X-API-Key: {key}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n".encode()
    status, _, body = await exchange(edge, request)
    assert (status, orjson.loads(body)["error"]["code"]) == (400, 400)


async def test_line_20_a_gigabyte_announced_is_413_at_once_and_the_connection_ends(edge: Edge) -> None:
    key = edge.suite.tenant_config.make_key("write")
    async with raw(edge) as (reader, writer), asyncio.timeout(5):
        writer.write(POST + f"X-API-Key: {key}\r\nContent-Length: 1000000000\r\n\r\n".encode())
        started = time.monotonic()
        status, headers, body = await read_answer(reader)
        assert time.monotonic() - started < 1
        assert (status, orjson.loads(body)["error"]["reason"]) == (413, "BODY_TOO_LARGE")
        assert headers["connection"] == "close"
        assert await reader.read() == b""


async def test_line_21_a_body_that_never_ends_is_408(start_edge: StartEdge) -> None:
    edge = await start_edge(body_seconds=0.3)
    key = edge.suite.tenant_config.make_key("write")
    request = POST + f"X-API-Key: {key}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n".encode()
    status, headers, body = await exchange(edge, request)
    assert (status, orjson.loads(body)["error"]["reason"]) == (408, "BODY_TIMEOUT")
    assert headers["connection"] == "close"


async def test_line_21_headers_that_never_end_are_408(start_edge: StartEdge) -> None:
    edge = await start_edge(header_seconds=0.3)
    async with raw(edge) as (reader, writer), asyncio.timeout(5):
        for byte in b"GET /livez HTTP/1.1\r\nHos":
            writer.write(bytes([byte]))
        status, _, body = await read_answer(reader)
        assert (status, orjson.loads(body)["error"]["code"]) == (408, 408)
        assert await reader.read() == b""


async def test_line_21_connections_over_the_cap_are_closed(start_edge: StartEdge) -> None:
    edge = await start_edge(max_connections=3)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):  # the test's own client holds one too
            await stack.enter_async_context(raw(edge))

        async def refused() -> bool:
            async with raw(edge) as (reader, writer):
                with contextlib.suppress(ConnectionError):
                    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                    return await reader.read() == b""
                return True

        await eventually(refused)


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("GET", "//evil", {404}),
        ("GET", "/v1/%2e%2e/events", {404, 401}),
        ("GET", "/%00", {404}),
        ("GET", "/assets/../app.py", {404}),
        ("GET", "/assets/%2e%2e%2fapp.py", {404}),
        ("TRACE", "/v1/events", {405}),
        ("CONNECT", "evil:443", {400, 404, 405}),
        ("POST", "/v1/events", {405}),
    ],
)
async def test_line_56_odd_paths_and_methods(edge: Edge, method: str, path: str, statuses: set[int]) -> None:
    status, headers, body = await exchange(edge, f"{method} {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
    assert status in statuses
    assert b"evil" not in body
    assert "location" not in headers
    if status == 405:
        assert "GET" in headers["allow"]


async def test_every_answer_has_the_security_headers_and_an_error_the_one_body(edge: Edge) -> None:
    for path in ("/", "/docs", "/livez", "/openapi.json", "/nothing-here", "/v1/events"):
        async with edge.http.get(path) as answer:
            headers = answer.headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert "aiohttp" not in headers["Server"].lower()
            assert headers["X-Correlation-ID"]
            if answer.status >= 400:
                error = (await answer.json())["error"]
                assert set(error) == {"code", "status", "reason", "message", "details"}
                assert error["code"] == answer.status


async def test_a_bad_correlation_id_is_replaced(edge: Edge) -> None:
    for given in ("a b", "x" * 200, "<script>"):
        async with edge.http.get("/livez", headers={"X-Correlation-ID": given}) as answer:
            assert answer.headers["X-Correlation-ID"] != given


async def test_line_58_x_forwarded_for_of_an_untrusted_peer_is_ignored(edge: Edge) -> None:
    headers = edge.key("write") | {"X-Forwarded-For": "203.0.113.9"}
    async with edge.http.post("/v1/events:batch", json=BATCH, headers=headers) as answer:
        assert answer.status == 200
    assert edge.suite.ingest.recorder.last.info.client_ip == "127.0.0.1"


async def test_x_forwarded_for_of_a_trusted_proxy_gives_the_right_most_untrusted_hop(start_edge: StartEdge) -> None:
    edge = await start_edge(trusted_proxies=("127.0.0.0/8", "10.0.0.0/8"))
    headers = edge.key("write") | {"X-Forwarded-For": "1.1.1.1, 203.0.113.9, 10.1.2.3"}
    async with edge.http.post("/v1/events:batch", json=BATCH, headers=headers) as answer:
        assert answer.status == 200
    assert edge.suite.ingest.recorder.last.info.client_ip == "203.0.113.9"


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://shop.example", 204), ("null", 403), ("not an origin", 403), ("https://shop.example/path", 403)],
)
async def test_line_28_preflights_of_ingest(edge: Edge, origin: str, status: int) -> None:
    async with edge.http.options("/v1/events:batch", headers=PREFLIGHT | {"Origin": origin}) as answer:
        assert answer.status == status
        assert answer.headers.get("Access-Control-Allow-Origin") == (origin if status == 204 else None)
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Origin" in answer.headers["Vary"]
        if status == 204:
            assert answer.headers["Access-Control-Max-Age"] == "600"
            assert "POST" in answer.headers["Access-Control-Allow-Methods"]


async def test_other_addresses_allow_only_listed_origins(start_edge: StartEdge) -> None:
    edge = await start_edge(cors_origins="https://dash.example, https://other.example")
    preflight = PREFLIGHT | {"Access-Control-Request-Method": "GET"}
    for path in ("/v1/metrics", "/v1/events:batch"):  # when the list is set, ingest keeps to it too
        for origin, status in (("https://dash.example", 204), ("https://shop.example", 403)):
            async with edge.http.options(path, headers=preflight | {"Origin": origin}) as answer:
                assert answer.status == status
    async with edge.http.get("/livez", headers={"Origin": "https://dash.example"}) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "https://dash.example"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://app.example.com", 200),
        ("https://evil.example", 403),
        ("null", 403),
        ("https://app.example.com.evil.io", 403),
        ("https://x.app.example.com", 403),
        ("https://app.example.com:444", 403),
        (None, 403),
    ],
)
async def test_line_28_a_write_key_with_a_list_of_origins(edge: Edge, origin: str | None, status: int) -> None:
    headers = edge.key("write", origins=("https://app.example.com",)) | ({"Origin": origin} if origin else {})
    async with edge.http.post("/v1/events:batch", json=BATCH, headers=headers) as answer:
        assert answer.status == status
        assert answer.headers.get("Access-Control-Allow-Origin") == (origin if status == 200 else None)


async def test_line_28_a_list_of_the_operator_holds_for_what_has_no_preflight(start_edge: StartEdge) -> None:
    # given an operator who lists the pages that may send, and a key without a list
    edge = await start_edge(cors_origins="https://shop.example")
    key = edge.key("write")
    own = f"http://127.0.0.1:{edge.port}"
    for origin, allowed in (
        ("https://shop.example", True),
        (own, True),
        (None, True),
        ("https://evil.example", False),
        ("null", False),
    ):
        headers = key | ({"Origin": origin} if origin else {})
        # when a beacon is sent
        async with edge.http.post("/v1/events:batch", json=BATCH, headers=headers) as answer:
            assert answer.status == (200 if allowed else 403), origin
        # when a socket is opened
        try:
            async with edge.http.ws_connect("/v1/stream", headers=headers):
                assert allowed, origin
        except aiohttp.WSServerHandshakeError as error:
            assert (error.status, allowed) == (403, False), origin


async def test_a_page_may_read_why_its_key_was_refused(edge: Edge) -> None:
    headers = {"Origin": "https://shop.example", "Authorization": "Bearer nonsense"}
    async with edge.http.post("/v1/events:batch", json=BATCH, headers=headers) as answer:
        assert answer.status == 401
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"


async def test_line_57_guessing_keys_gets_429_and_a_good_key_is_heard(start_edge: StartEdge) -> None:
    edge = await start_edge(auth_failure_burst=5, auth_failures_per_second=0.01)
    statuses = []
    for _ in range(8):
        async with edge.http.post("/v1/events:batch", json=BATCH, headers={"X-API-Key": "guess"}) as answer:
            statuses.append(answer.status)
            last = answer.headers
    assert statuses == [401] * 5 + [429] * 3
    assert int(last["Retry-After"]) >= 1
    # Whoever shares the address with a guesser is not locked out.
    async with edge.http.post("/v1/events:batch", json=BATCH, headers=edge.key("write")) as answer:
        assert answer.status == 200


async def test_an_unexpected_failure_is_a_generic_500_with_the_correlation_id(edge: Edge) -> None:
    edge.suite.ingest.failure = Internal("BUG", "secret detail")
    async with edge.http.post("/v1/events:batch", json=BATCH, headers=edge.key("write")) as answer:
        text = await answer.text()
        assert answer.status == 500
        assert "secret detail" not in text
        assert answer.headers["X-Correlation-ID"] in text


async def test_line_55_sigterm_answers_a_half_sent_body_and_then_ends(edge: Edge) -> None:
    key = edge.suite.tenant_config.make_key("write")
    body = orjson.dumps(BATCH)
    async with raw(edge) as (reader, writer), asyncio.timeout(10):
        writer.write(POST + f"X-API-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:10])
        await writer.drain()
        await eventually(lambda: edge.gateway._lifecycle._under_way == 1)
        drain = asyncio.create_task(edge.gateway.drain())
        await eventually(lambda: edge.gateway._lifecycle.draining.is_set())
        writer.write(body[10:])
        status, headers, _ = await read_answer(reader)
        assert (status, headers["connection"]) == (200, "close")
        await drain
    with pytest.raises(OSError):  # nobody listens any more
        await asyncio.open_connection("127.0.0.1", edge.port)


async def test_leaving_makes_it_unready_before_it_stops_accepting(start_edge: StartEdge) -> None:
    edge = await start_edge(drain_delay_seconds=0.5)
    drain = asyncio.create_task(edge.gateway.drain())

    async def unready() -> bool:
        async with edge.http.get("/readyz") as answer:
            return answer.status == 503

    await eventually(unready)
    async with edge.http.post("/v1/events:batch", json=BATCH, headers=edge.key("write", TENANT_A)) as answer:
        assert answer.status == 200
    await drain
