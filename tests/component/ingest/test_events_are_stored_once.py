"""Each event is stored once: sent again, by several, under one id (contract 2.1)."""

import asyncio
from typing import Any

import orjson

from obc_dev.servers.redis import RedisServer
from obc_ingest.metrics import FINGERPRINT_MISMATCHES
from tests.support.ingest import Ingest, event, new_id, outcomes, running_ingest


async def test_a_resent_event_is_a_duplicate_and_stored_once(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    events = [event(n=n) for n in range(20)]

    first = await ingest.send(tenant, events)
    again = await ingest.send(tenant, [*reversed(events), event()])

    assert first["accepted"] == 20
    assert (again["accepted"], again["duplicate"]) == (1, 20)
    assert len(await ingest.stored(tenant)) == 21


async def test_the_same_id_twice_in_a_batch_is_stored_once_and_the_first_wins(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    same = new_id()

    answer = await ingest.send(
        tenant, [event(event_id=same, event_name="first"), event(event_id=same.upper(), event_name="second")]
    )

    assert outcomes(answer) == ["accepted", "duplicate"]
    assert [row["event_name"] for row in await ingest.stored(tenant)] == ["first"]


async def test_another_payload_under_a_known_id_is_a_duplicate_and_is_counted(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    raw = event(properties={"a": 1})
    await ingest.send(tenant, [raw])
    before = FINGERPRINT_MISMATCHES._value.get()

    same = await ingest.send(tenant, [raw])
    assert FINGERPRINT_MISMATCHES._value.get() == before
    other = await ingest.send(tenant, [{**raw, "properties": {"a": 2}}])

    assert same["duplicate"] == other["duplicate"] == 1
    assert FINGERPRINT_MISMATCHES._value.get() == before + 1
    [row] = await ingest.stored(tenant)
    assert orjson.loads(row["properties"]) == {"a": 1}


async def test_an_id_of_another_tenant_is_another_event(ingest: Ingest) -> None:
    first, second = await ingest.make_tenant(), await ingest.make_tenant()
    raw = event()

    answers = [await ingest.send(tenant, [raw]) for tenant in (first, second)]

    assert [answer["accepted"] for answer in answers] == [1, 1]


async def test_eight_senders_and_two_replicas_store_each_event_once(ingest: Ingest, shared_redis: RedisServer) -> None:
    tenant = await ingest.make_tenant()
    events = [event(properties={"n": n}) for n in range(600)]
    async with running_ingest(ingest.dsn, shared_redis.url, ingest.tenant_config) as second:
        await second.knows(tenant, version=1)

        async def send_all(number: int) -> list[dict[str, Any]]:
            where = (ingest, second)[number % 2]
            order = events[number * 75 :] + events[: number * 75]
            chunks = [order[start : start + 100] for start in range(0, 600, 100)]
            return list(await asyncio.gather(*(where.send(tenant, chunk) for chunk in chunks)))

        answers = [answer for part in await asyncio.gather(*(send_all(n) for n in range(8))) for answer in part]

    assert sum(answer["accepted"] for answer in answers) == 600
    assert sum(answer["duplicate"] for answer in answers) == 7 * 600
    assert sum(answer["rejected"] + answer["dropped"] for answer in answers) == 0
    stored = await ingest.stored(tenant)
    assert {str(row["event_id"]) for row in stored} == {raw["event_id"] for raw in events}
    assert len(stored) == 600


async def test_the_ids_of_a_refused_row_stay_free(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    await ingest.rows("ALTER TABLE analytics_events ADD CONSTRAINT no_poison CHECK (event_name <> 'poison')")
    same = new_id()

    answer = await ingest.send(tenant, [event(event_id=same, event_name="poison"), event(event_id=same)])

    await ingest.rows("ALTER TABLE analytics_events DROP CONSTRAINT no_poison")
    assert outcomes(answer) == ["rejected", "accepted"]
    [row] = await ingest.stored(tenant)
    assert row["event_name"] == "page_view"
