"""ImportEvents: history of any age, exactly once, whatever its lines are."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import orjson
import pytest

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.context import Principal
from obc_common.errors import DomainError, from_rpc_error
from obc_dev.servers.redis import RedisServer
from tests.support.ingest import Ingest, event, new_id, now_ms, running_ingest, sender
from tests.support.tenant_config import TenantConfig

_DAY = 86_400_000


def importer(tenant_id: str) -> Principal:
    """A secret key of a tenant."""
    return Principal(tenant_id, "a-secret-key", "secret", frozenset({"ingest"}))


def lines_of(events: Sequence[Any]) -> bytes:
    """Events as NDJSON; bytes are lines as they are."""
    return b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in events)


async def import_chunks(
    ingest: Ingest, principal: Principal, chunks: Sequence[pb.ImportEventsRequest]
) -> tuple[list[dict[str, Any]], list[pb.ImportEventsResponse]]:
    """Sends chunks; their results and the answers. Raises DomainError."""
    call = ingest.client.import_events(principal=principal)
    answers: list[pb.ImportEventsResponse] = []

    async def send() -> None:
        # Ingest reads no chunk before its answer to the one before is read.
        try:
            for chunk in chunks:
                await call.write(chunk)
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # reading says why

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(30):
            while isinstance(answer := await call.read(), pb.ImportEventsResponse):
                answers.append(answer)
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from None
    finally:
        call.cancel()
        await sending
    return [orjson.loads(line) for answer in answers for line in answer.results_ndjson.splitlines()], answers


async def import_lines(ingest: Ingest, tenant: str, events: Sequence[Any]) -> list[dict[str, Any]]:
    """Imports events as one chunk; their results."""
    chunk = pb.ImportEventsRequest(first_line=1, lines=lines_of(events))
    return (await import_chunks(ingest, importer(tenant), [chunk]))[0]


async def test_history_of_any_age_is_stored_and_queried_by_its_own_time(ingest: Ingest) -> None:
    # given events from the year 2000 to a moment ago
    tenant = await ingest.make_tenant()
    ages = [now_ms() - 1000, now_ms() - 400 * _DAY, 1_262_304_000_000, 946_684_800_000]
    # when
    results = await import_lines(ingest, tenant, [event(timestamp=at) for at in ages])
    # then
    assert [result["result"] for result in results] == ["accepted"] * 4
    assert [result["line"] for result in results] == [1, 2, 3, 4]
    stored = await ingest.stored(tenant)
    assert [round(row["event_time"].timestamp() * 1000) for row in stored] == sorted(ages)


async def test_what_is_too_old_or_too_new_for_an_import_too(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    events = [event(timestamp=946_684_799_999), event(timestamp=now_ms() + 2 * 3_600_000)]

    results = await import_lines(ingest, tenant, events)

    assert [result["code"] for result in results] == ["too_old", "too_new"]
    assert await ingest.stored(tenant) == []


async def test_a_live_event_of_the_same_age_stays_too_old(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()

    answer = await ingest.send(tenant, [event(timestamp=now_ms() - 400 * _DAY)])

    assert answer["results"][0]["code"] == "too_old"


async def test_a_bad_line_is_a_result_with_its_number_and_a_bad_row_and_no_end(ingest: Ingest) -> None:
    # given good lines among all kinds of bad ones, empty lines and a Windows line end
    tenant = await ingest.make_tenant()
    good = [event(), event(), event()]
    lines: list[Any] = [
        good[0],
        b'{"event_id": ',
        b"",
        b"[1]",
        b"   ",
        b'{"x": NaN}',
        b"\xff\xfe{",
        b"\xef\xbb\xbf{}",
        b'{"a":"' + b"x" * 65_536 + b'"}',
        b"[" * 5000 + b"]" * 5000,
        orjson.dumps(good[1]) + b"\r",
        {**event(), "user_id": "null"},
        good[2],
    ]
    # when
    results = await import_lines(ingest, tenant, lines)
    # then
    assert [(result["line"], result.get("code", "")) for result in results] == [
        (1, ""),
        (2, "bad_json"),
        (4, "not_object"),
        (6, "bad_json"),
        (7, "bad_encoding"),
        (8, "bad_encoding"),
        (9, "event_too_big"),
        (10, "bad_json"),
        (11, ""),
        (12, "bad_user_id"),
        (13, ""),
    ]
    assert {str(row["event_id"]) for row in await ingest.stored(tenant)} == {one["event_id"] for one in good}
    assert len(await ingest.bad_rows(tenant)) == 8


async def test_an_import_that_is_sent_again_stores_nothing_twice_and_goes_on_where_it_broke_off(ingest: Ingest) -> None:
    # given the first half of a file
    tenant = await ingest.make_tenant()
    events = [event(timestamp=now_ms() - 90 * _DAY + index) for index in range(3000)]
    first = pb.ImportEventsRequest(first_line=1, lines=lines_of(events[:1500]))
    _, [answer] = await import_chunks(ingest, importer(tenant), [first])
    assert (answer.next_line, answer.accepted) == (1501, 1500)
    # when all of it is sent
    chunks = [
        pb.ImportEventsRequest(first_line=start + 1, lines=lines_of(events[start : start + 1000]))
        for start in range(0, 3000, 1000)
    ]
    results, answers = await import_chunks(ingest, importer(tenant), chunks)
    # then
    assert [result["line"] for result in results] == list(range(1, 3001))
    assert [result["result"] for result in results] == ["duplicate"] * 1500 + ["accepted"] * 1500
    assert [(one.next_line, one.accepted, one.duplicate) for one in answers] == [
        (1001, 0, 1000),
        (2001, 500, 500),
        (3001, 1000, 0),
    ]
    assert len(await ingest.stored(tenant)) == 3000


@pytest.mark.parametrize(
    ("wanted", "listed"), [(pb.IMPORT_RESULTS_PROBLEMS, ["excluded", "bad_json"]), (pb.IMPORT_RESULTS_NONE, [])]
)
async def test_the_answer_lists_only_what_is_wanted(
    ingest: Ingest, wanted: pb.ImportResults.ValueType, listed: list[str]
) -> None:
    tenant = await ingest.make_tenant(excluded_events=["debug*"])
    lines = lines_of([event(), event(event_name="debug_x"), b"{"])

    results, [answer] = await import_chunks(
        ingest, importer(tenant), [pb.ImportEventsRequest(first_line=1, lines=lines, results=wanted)]
    )

    assert [result["code"] for result in results] == listed
    assert (answer.accepted, answer.dropped, answer.rejected) == (1, 1, 1)


async def test_a_chunk_of_too_many_lines_is_refused(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    chunk = pb.ImportEventsRequest(first_line=1, lines=b"\n".join([b"{}"] * 2001))

    with pytest.raises(DomainError) as refused:
        await import_chunks(ingest, importer(tenant), [chunk])

    assert refused.value.reason == "TOO_MANY_EVENTS"


async def test_a_write_key_imports_nothing(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()

    with pytest.raises(DomainError) as refused:
        await import_chunks(ingest, sender(tenant), [pb.ImportEventsRequest(lines=lines_of([event()]))])

    assert refused.value.reason == "SECRET_KEY_REQUIRED"


async def test_an_import_faster_than_its_rate_waits_instead_of_being_refused(
    module_database: str, shared_redis: RedisServer, tenant_config: TenantConfig
) -> None:
    # given a service that lets 1,000 imported events a second through, 4,000 at once
    async with running_ingest(module_database, shared_redis.url, tenant_config, import_rate_per_second=1000) as slow:
        tenant = await slow.make_tenant()
        lines = lines_of([event() for _ in range(1500)])
        chunks = [pb.ImportEventsRequest(first_line=1, lines=lines)] * 3
        # when 4,500 are sent
        started = asyncio.get_running_loop().time()
        results, _ = await import_chunks(slow, importer(tenant), chunks)
        # then nothing was refused, and the last chunk has waited
        assert len(results) == 4500
        assert asyncio.get_running_loop().time() - started > 0.3
        # and live events have their own limit
        assert (await slow.send(tenant, [event(event_id=new_id())]))["accepted"] == 1
