"""ReplayBadRows: what was bad is judged again after a fix, once."""

from typing import Any

import asyncpg
import pytest

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.errors import DomainError
from obc_common.postgres import create_pool, tenant_transaction
from obc_dev.servers.redis import RedisServer
from tests.component.ingest.test_import_chunks import importer
from tests.support.eventually import eventually
from tests.support.ingest import Ingest, event, new_id, now_ms, running_ingest, sender
from tests.support.tenant_config import TenantConfig

_DAY = 86_400_000


async def replay(ingest: Ingest, tenant: str, **fields: Any) -> pb.ReplayBadRowsResponse:
    """Replays as a secret key; raises DomainError."""
    request = pb.ReplayBadRowsRequest(**fields)
    answer = await ingest.client.call("ReplayBadRows", request, principal=importer(tenant), timeout=15)
    assert isinstance(answer, pb.ReplayBadRowsResponse)
    return answer


def outcomes(answer: pb.ReplayBadRowsResponse) -> list[tuple[str, str]]:
    """Result and code of every row."""
    return [(pb.EventOutcome.Name(r.result).removeprefix("EVENT_OUTCOME_").lower(), r.code) for r in answer.results]


async def test_after_the_fix_a_row_is_stored_once_and_closed(
    module_database: str, shared_redis: RedisServer, tenant_config: TenantConfig, ingest: Ingest
) -> None:
    # given events that were too old by a limit that was too low
    tenant = await ingest.make_tenant()
    old = [event(timestamp=now_ms() - 40 * _DAY, user_id=f"u{index}", properties={"n": index}) for index in range(3)]
    await ingest.send(tenant, old)
    ids = [row["id"] for row in await ingest.bad_rows(tenant)]
    # when they are replayed before the fix, they stay as they are
    assert outcomes(await replay(ingest, tenant)) == [("rejected", "too_old")] * 3
    assert [row["replayed_at"] for row in await ingest.bad_rows(tenant)] == [None] * 3
    # when they are replayed after it
    async with running_ingest(
        module_database, shared_redis.url, tenant_config, max_event_age_days=60, dedup_window_days=60
    ) as fixed:
        await fixed.knows(tenant, version=1)
        first = await replay(fixed, tenant, ids=ids[:2])
        # then
        assert outcomes(first) == [("accepted", ""), ("accepted", "")]
        assert (first.accepted, first.skipped) == (2, 0)
        # and a second replay does nothing with them
        assert outcomes(await replay(fixed, tenant, ids=ids)) == [
            ("unspecified", "already_replayed"),
            ("unspecified", "already_replayed"),
            ("accepted", ""),
        ]
        assert list((await replay(fixed, tenant)).results) == []
    stored = await ingest.stored(tenant)
    assert sorted(str(row["event_id"]) for row in stored) == sorted(one["event_id"] for one in old)
    assert sorted(row["user_id"] for row in stored) == ["u0", "u1", "u2"]
    assert [row["replay_result"] for row in await ingest.bad_rows(tenant)] == ["accepted"] * 3


async def test_an_event_is_as_old_as_when_it_was_received(ingest: Ingest) -> None:
    # given an event that was bad for its user and 29 days old, and whose row has waited for ten days
    tenant = await ingest.make_tenant()
    await ingest.send(tenant, [event(user_id="null")])
    [row] = await ingest.bad_rows(tenant)
    body = (
        row["body"]
        .replace(b'"null"', b'"jane"')
        .replace(
            b'"timestamp":' + row["body"].split(b'"timestamp":')[1][:13], b'"timestamp":%d' % (now_ms() - 39 * _DAY)
        )
    )
    await ingest.rows(
        "UPDATE bad_rows SET body = $2, received_at = now() - interval '10 days' WHERE id = $1", row["id"], body
    )
    # when
    answer = await replay(ingest, tenant)
    # then it is not too old, and is received now
    assert outcomes(answer) == [("accepted", "")]
    [stored] = await ingest.stored(tenant)
    assert abs(stored["received_at"].timestamp() * 1000 - now_ms()) < 60_000
    [day] = await ingest.rows("SELECT received_day FROM event_ids WHERE tenant_id = $1", tenant)
    assert day["received_day"] == stored["received_at"].date()


async def test_a_row_that_is_bad_in_another_way_now_gives_its_place_to_a_new_one(ingest: Ingest) -> None:
    # given
    tenant = await ingest.make_tenant()
    await ingest.send(tenant, [event(user_id="null", session_id="s" * 201)])
    [row] = await ingest.bad_rows(tenant)
    assert row["code"] == "bad_user_id"
    await ingest.rows("UPDATE bad_rows SET body = replace(convert_from(body, 'UTF8'), '\"null\"', '\"u\"')::bytea")
    # when
    assert outcomes(await replay(ingest, tenant, code="bad_user_id")) == [("rejected", "too_long")]
    # then
    before, after = await ingest.bad_rows(tenant)
    assert before["replay_result"] == "rejected"
    assert (after["code"], after["replay_of"], after["replayed_at"]) == ("too_long", row["id"], None)


async def test_an_event_that_came_again_meanwhile_is_a_duplicate_and_its_row_is_closed(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    event_id = new_id()
    await ingest.send(tenant, [event(event_id=event_id, session_id=7)])
    await ingest.send(tenant, [event(event_id=event_id)])
    await ingest.rows("UPDATE bad_rows SET body = replace(convert_from(body, 'UTF8'), ':7', ':\"7\"')::bytea")

    assert outcomes(await replay(ingest, tenant)) == [("duplicate", "")]
    assert len(await ingest.stored(tenant)) == 1
    assert [row["replay_result"] for row in await ingest.bad_rows(tenant)] == ["duplicate"]


async def test_what_scrubbing_took_out_of_a_row_does_not_become_somebody(ingest: Ingest) -> None:
    # given a row whose user was an address, and one whose user agent is gone
    tenant = await ingest.make_tenant()
    await ingest.send(tenant, [event(user_id="jane@example.com", session_id=7), event(user_agent="Mozilla", consent=1)])
    # when the rest of them is right
    for wrong, right in ((":7", ':"7"'), ('"consent":1', '"consent":true')):
        await ingest.rows("UPDATE bad_rows SET body = replace(convert_from(body, 'UTF8'), $1, $2)::bytea", wrong, right)
    # then
    assert outcomes(await replay(ingest, tenant)) == [("rejected", "redacted_id"), ("accepted", "")]
    [stored] = await ingest.stored(tenant)
    assert stored["user_agent"] is None


async def test_a_filter_is_replayed_in_pages(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    await ingest.send(tenant, [event(session_id=index) for index in range(5)] + [event(user_id="null")])
    # when
    first = await replay(ingest, tenant, code="bad_type", page_size=2)
    second = await replay(ingest, tenant, code="bad_type", page_size=2, page_token=first.next_page_token)
    third = await replay(ingest, tenant, code="bad_type", page_size=2, page_token=second.next_page_token)
    # then every row was looked at once, although all stay bad
    ids = [result.id for page in (first, second, third) for result in page.results]
    assert ids == [row["id"] for row in await ingest.bad_rows(tenant)][:5]
    assert third.next_page_token == ""
    # and a token is good for its own filter only
    with pytest.raises(DomainError) as refused:
        await replay(ingest, tenant, code="bad_user_id", page_token=first.next_page_token)
    assert refused.value.reason == "BAD_PAGE_TOKEN"


async def test_another_tenants_row_is_not_there(ingest: Ingest) -> None:
    mine, theirs = await ingest.make_tenant(), await ingest.make_tenant()
    await ingest.send(theirs, [event(user_id="null")])
    [row] = await ingest.bad_rows(theirs)

    assert outcomes(await replay(ingest, mine, ids=[row["id"], 2**62])) == [("unspecified", "not_found")] * 2
    assert list((await replay(ingest, mine)).results) == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ids": [1], "code": "x"}, "IDS_OR_FILTER"),
        ({"ids": range(1001)}, "TOO_MANY_ROWS"),
        ({"from_time": "yesterday"}, "BAD_TIME"),
        ({"from_time": "2026-01-02T00:00:00Z", "to_time": "2026-01-01T00:00:00Z"}, "BAD_RANGE"),
        ({"page_size": -1}, "BAD_PAGE_SIZE"),
        ({"page_token": "x"}, "BAD_PAGE_TOKEN"),
    ],
)
async def test_a_replay_that_makes_no_sense_is_refused(ingest: Ingest, fields: dict[str, Any], reason: str) -> None:
    tenant = await ingest.make_tenant()

    with pytest.raises(DomainError) as refused:
        await replay(ingest, tenant, **fields)

    assert refused.value.reason == reason


async def test_a_write_key_replays_nothing(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()

    with pytest.raises(DomainError) as refused:
        await ingest.client.call("ReplayBadRows", pb.ReplayBadRowsRequest(), principal=sender(tenant), timeout=15)

    assert refused.value.reason == "SECRET_KEY_REQUIRED"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM bad_rows",
        "UPDATE bad_rows SET body = ''",
        "INSERT INTO bad_rows DEFAULT VALUES",
        "SELECT * FROM analytics_events",
        "SELECT * FROM event_ids",
        "SELECT * FROM api_keys",
    ],
)
async def test_the_role_that_replays_can_do_nothing_else(ingest: Ingest, statement: str) -> None:
    pool = await create_pool(ingest.dsn, role="obc_replay", name="test", max_size=1)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)
    finally:
        await pool.close()


async def test_line_45_the_role_that_replays_sees_one_tenants_rows_or_none(ingest: Ingest) -> None:
    # given bad rows of a tenant
    tenant, other = await ingest.make_tenant(), await ingest.make_tenant()
    await ingest.send(tenant, [event(user_id="null")])
    pool = await create_pool(ingest.dsn, role="obc_replay", name="test", max_size=1)
    try:
        # then nobody else's transaction sees or closes them, nor one of no tenant
        for named in ("", other):
            async with tenant_transaction(pool, named) as connection:
                assert await connection.fetchval("SELECT count(*) FROM bad_rows") == 0
                done = await connection.execute("UPDATE bad_rows SET replayed_at = now(), replay_result = 'dropped'")
                assert done == "UPDATE 0"
        assert await pool.fetchval("SELECT count(*) FROM bad_rows") == 0
    finally:
        await pool.close()
    # and ingest's own role reads none at all
    pool = await create_pool(ingest.dsn, role="obc_ingest", name="test", max_size=1)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.fetchval("SELECT count(*) FROM bad_rows")
    finally:
        await pool.close()


async def test_what_is_left_out_of_events_is_counted_by_name_and_sdk(
    module_database: str, shared_redis: RedisServer, tenant_config: TenantConfig, ingest: Ingest
) -> None:
    # given a tenant that keeps one property of its own
    tenant = await ingest.make_tenant(custom_properties=["plan"])
    # when
    await ingest.send(tenant, [event(properties={"plan": "a", "shoe_size": 42}, shoe="left") for _ in range(3)])

    # then the counts are written within seconds
    async def written() -> bool:
        rows = await ingest.rows("SELECT * FROM left_out_counts WHERE tenant_id = $1 ORDER BY kind", tenant)
        return [(row["kind"], row["name"], row["count"]) for row in rows] == [
            ("stripped_property", "shoe_size", 3),
            ("unknown_field", "shoe", 3),
        ]

    await eventually(written, timeout=15)
