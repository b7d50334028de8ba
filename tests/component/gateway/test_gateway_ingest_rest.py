"""POST of batches through a real gateway."""

import asyncio
import gzip
import io
import zlib

import orjson
import pytest
import zstandard

from obc_common.errors import OutOfRange, ResourceExhausted, Unavailable
from tests.component.gateway.conftest import Edge, StartEdge
from tests.support.fake_services.recorder import TENANT_A, TENANT_B

PATHS = ("/v1/events:batch", "/api/analytics/batch")
EVENT = {"event_id": "0190a000-0000-7000-8000-000000000001", "event_name": "page_view", "timestamp": 1_700_000_000_000}
BATCH = {"events": [EVENT], "batch_id": "b-1", "timestamp": 1_700_000_000_000}


@pytest.mark.parametrize("path", PATHS)
async def test_the_body_reaches_ingest_as_it_is_and_its_answer_comes_back_as_it_is(edge: Edge, path: str) -> None:
    body = orjson.dumps(BATCH)
    headers = edge.key("write") | {
        "Content-Type": "application/json",
        "X-Tenant-ID": TENANT_A,
        "X-Correlation-ID": "corr-1",
        "User-Agent": "Mozilla/5.0 ünï",
        "X-OBC-SDK": "js/1.2.3",
        "Sec-GPC": "1",
    }
    async with edge.http.post(path, data=body, headers=headers) as answer:
        assert answer.status == 200
        assert await answer.json() == {
            "batch_id": "b-1",
            "accepted": 1,
            "duplicate": 0,
            "dropped": 0,
            "rejected": 0,
            "results": [{"event_id": EVENT["event_id"], "result": "accepted"}],
        }
        assert answer.headers["X-Correlation-ID"] == "corr-1"
    call = edge.suite.ingest.recorder.last
    assert call.request.json == body
    assert call.principal.tenant_id == TENANT_A
    assert (call.info.transport, call.info.sdk, call.info.gpc, call.info.client_ip) == (
        "rest",
        "js/1.2.3",
        True,
        "127.0.0.1",
    )


@pytest.mark.parametrize(
    ("coding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.compress)]
)
async def test_compressed_bodies_arrive_inflated(edge: Edge, coding: str, encode: object) -> None:
    body = orjson.dumps(BATCH)
    headers = edge.key("write") | {"Content-Type": "application/json", "Content-Encoding": coding}
    async with edge.http.post(PATHS[0], data=encode(body), headers=headers) as answer:  # type: ignore[operator]
        assert answer.status == 200
    assert edge.suite.ingest.recorder.last.request.json == body


@pytest.mark.parametrize(
    ("coding", "body", "status", "reason"),
    [
        ("gzip", gzip.compress(bytes(5 * 1024 * 1024)), 413, "BODY_TOO_LARGE"),
        ("deflate", zlib.compress(bytes(50 * 1024 * 1024)), 413, "BODY_TOO_LARGE"),
        ("zstd", zstandard.compress(bytes(50 * 1024 * 1024)), 413, "BODY_TOO_LARGE"),
        ("gzip", gzip.compress(gzip.compress(orjson.dumps(BATCH))), 400, "BAD_JSON"),
        ("gzip, gzip", gzip.compress(gzip.compress(orjson.dumps(BATCH))), 415, "UNSUPPORTED_ENCODING"),
        ("br", b"\x0b\x02\x80{}\x03", 415, "UNSUPPORTED_ENCODING"),
        ("gzip", gzip.compress(orjson.dumps(BATCH))[:-5], 400, "BAD_ENCODING"),
        ("gzip", gzip.compress(b"{}") + gzip.compress(b"{}"), 400, "BAD_ENCODING"),
        ("gzip", orjson.dumps(BATCH), 400, "BAD_ENCODING"),
    ],
)
async def test_line_22_bombs_and_broken_encodings(
    edge: Edge, coding: str, body: bytes, status: int, reason: str
) -> None:
    headers = edge.key("write") | {"Content-Type": "application/json", "Content-Encoding": coding}
    async with edge.http.post(PATHS[0], data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["reason"]) == (status, reason)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/plain", 200),
        ("text/plain;charset=UTF-8", 200),
        ("application/json; charset=utf-8", 200),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
async def test_line_23_content_types(edge: Edge, content_type: str, status: int) -> None:
    headers = edge.key("write") | {"Content-Type": content_type}
    async with edge.http.post(PATHS[0], data=orjson.dumps(BATCH), headers=headers) as answer:
        assert answer.status == status
        if status == 415:
            assert (await answer.json())["error"]["reason"] == "UNSUPPORTED_MEDIA_TYPE"


async def test_line_19_a_batch_over_4_mib_is_too_large(edge: Edge) -> None:
    headers = edge.key("write") | {"Content-Type": "application/json"}
    async with edge.http.post(PATHS[0], data=io.BytesIO(b" " * (4 * 1024 * 1024 + 1)), headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["reason"]) == (413, "BODY_TOO_LARGE")
    assert not edge.suite.ingest.recorder.calls


async def test_line_25_credentials_on_ingest(edge: Edge) -> None:
    keys = edge.suite.tenant_config
    revoked = keys.make_key("write")
    reader = keys.make_key("secret", scopes=("query",))
    sender = keys.make_key("secret", scopes=("ingest",))
    unknown = type(keys)().make_key("write")
    keys.revoke(revoked)
    cases = {
        None: (401, "NO_CREDENTIAL"),
        "nonsense": (401, "BAD_CREDENTIAL"),
        unknown: (401, "BAD_CREDENTIAL"),
        revoked: (401, "BAD_CREDENTIAL"),
        reader: (403, "SCOPE_MISSING"),
        sender: (200, None),
    }
    for key, (status, reason) in cases.items():
        headers = {"Content-Type": "application/json"} | ({"X-API-Key": key} if key else {})
        async with edge.http.post(PATHS[0], data=orjson.dumps(BATCH), headers=headers) as answer:
            body = await answer.json()
            assert (answer.status, body.get("error", {}).get("reason")) == (status, reason)
            assert ("WWW-Authenticate" in answer.headers) == (status == 401)


async def test_beacons_may_carry_a_write_key_in_the_query_or_the_body_and_no_other_key(edge: Edge) -> None:
    write = edge.suite.tenant_config.make_key("write")
    secret = edge.suite.tenant_config.make_key("secret", scopes=("ingest",))
    headers = {"Content-Type": "text/plain"}
    for key, status in ((write, 200), (secret, 401)):
        async with edge.http.post(PATHS[0], params={"key": key}, json=BATCH) as answer:
            assert answer.status == status
        async with edge.http.post(PATHS[0], data=orjson.dumps(BATCH | {"key": key}), headers=headers) as answer:
            assert answer.status == status


async def test_the_body_key_is_ignored_when_there_is_another_credential(edge: Edge) -> None:
    body = BATCH | {"key": "nonsense"}
    async with edge.http.post(PATHS[0], json=body, headers=edge.key("write")) as answer:
        assert answer.status == 200


async def test_line_26_a_header_that_names_another_tenant_is_refused(edge: Edge) -> None:
    headers = edge.key("write", TENANT_A) | {"X-Tenant-ID": TENANT_B}
    async with edge.http.post(PATHS[0], json=BATCH, headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["reason"]) == (403, "TENANT_MISMATCH")
    assert not edge.suite.ingest.recorder.calls


@pytest.mark.parametrize(
    ("failure", "status", "retry_after"),
    [
        (ResourceExhausted("RATE_LIMITED", "slow down", retry_after=0.3), 429, "1"),
        (ResourceExhausted("RATE_LIMITED", "slow down", retry_after=4.2), 429, "5"),
        (OutOfRange("COST_OVER_BURST", "never fits"), 413, None),
        (Unavailable("DATABASE_UNAVAILABLE", "host db-7 refused", retry_after=1.0), 503, "1"),
    ],
)
async def test_line_35_what_ingest_says_becomes_status_and_retry_after(
    edge: Edge, failure: Exception, status: int, retry_after: str | None
) -> None:
    edge.suite.ingest.failure = failure  # type: ignore[assignment]
    async with edge.http.post(PATHS[0], json=BATCH, headers=edge.key("write")) as answer:
        body = await answer.json()
        assert (answer.status, answer.headers.get("Retry-After")) == (status, retry_after)
        assert body["error"]["code"] == status
        assert "db-7" not in str(body)


async def test_ingest_away_is_503_with_retry_after_and_no_false_200(edge: Edge) -> None:
    await edge.suite.servers["ingest"].stop()
    async with edge.http.post(PATHS[0], json=BATCH, headers=edge.key("write")) as answer:
        body = await answer.json()
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert body["error"]["details"][-1] == {"correlation_id": answer.headers["X-Correlation-ID"]}


async def test_bodies_over_the_budget_of_the_process_are_shed_with_503(start_edge: StartEdge) -> None:
    edge = await start_edge(max_body_bytes_in_flight=1024 * 1024)
    headers = edge.key("write") | {"Content-Type": "application/json"}
    async with edge.http.post(PATHS[0], data=io.BytesIO(b" " * (2 * 1024 * 1024)), headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["reason"]) == (503, "OVERLOADED")


async def test_line_21_bodies_that_are_announced_and_not_sent_take_no_room_from_others(start_edge: StartEdge) -> None:
    # given somebody without a credential who announces more than the room for all bodies
    edge = await start_edge(max_body_bytes_in_flight=4 * 1024 * 1024)
    head = b"POST /v1/events:batch HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 4194304\r\n\r\n{"
    writers = []
    for _ in range(8):
        _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(head)
        await writer.drain()
        writers.append(writer)
    try:
        # then the batches of others are taken, with the key in a header and in the body
        key = edge.suite.tenant_config.make_key("write")
        async with edge.http.post(PATHS[0], json=BATCH, headers={"X-API-Key": key}) as answer:
            assert answer.status == 200
        async with edge.http.post(PATHS[0], json=BATCH | {"key": key}) as answer:
            assert answer.status == 200
    finally:
        for writer in writers:
            writer.close()
            await writer.wait_closed()


async def test_the_extra_prefix_serves_the_same_routes(start_edge: StartEdge) -> None:
    edge = await start_edge(extra_prefix="/c")
    for path in ("/c/batch", *PATHS):
        async with edge.http.post(path, json=BATCH, headers=edge.key("write")) as answer:
            assert answer.status == 200
