"""Decisions about links: added and never changed, seen at once by who made them and in a moment by the others."""

import asyncio
import uuid

import asyncpg
import pytest

from obc_common.clock import ManualClock
from obc_common.errors import FailedPrecondition, Unavailable
from obc_common.postgres import Pool, tenant_transaction, tenant_write_transaction
from obc_query.identity.decisions import MOST_OF_A_DEVICE, LinkDecisions
from obc_query.identity.store import Verdict, lock_tenant
from obc_query.identity.unlinked import NONE_UNLINKED, SEEN_AFTER_SECONDS, UnlinkedDevices


def process(pool: Pool, clock: ManualClock, *, limit: int = 10) -> LinkDecisions:
    """What a process has."""
    return LinkDecisions(limit, pool, UnlinkedDevices(pool, clock), clock)


async def test_of_a_device_the_newest_decision_counts_and_all_are_kept(
    pool: Pool, clock: ManualClock, tenant_id: str
) -> None:
    links = process(pool, clock)
    made: list[tuple[Verdict, str]] = [("unlink", "ann"), ("link", "bob"), ("unlink", "cyd")]
    for verdict, by in made:
        clock.advance(1)
        await links.decide(tenant_id, "d", verdict, by)
    kept = await links.of_device(tenant_id, "d")
    assert [(one.verdict, one.by, one.at_ms - clock.now_ms()) for one in kept] == [
        ("unlink", "cyd", 0), ("link", "bob", -1000), ("unlink", "ann", -2000)
    ]  # fmt: skip
    assert (await links.unlinked.of(tenant_id)).devices == ("d",)


async def test_what_is_so_already_is_no_decision(pool: Pool, clock: ManualClock, tenant_id: str) -> None:
    links = process(pool, clock)
    assert await links.decide(tenant_id, "d", "link", "ann") == []
    first = await links.decide(tenant_id, "d", "unlink", "ann")
    assert await links.decide(tenant_id, "d", "unlink", "bob") == first
    assert await links.of_device(tenant_id, "d") == first


async def test_who_decided_sees_it_at_once_and_another_process_in_a_moment(
    pool: Pool, clock: ManualClock, tenant_id: str
) -> None:
    # given two processes that know of no decision
    links, other = process(pool, clock), process(pool, clock)
    assert await links.unlinked.of(tenant_id) == await other.unlinked.of(tenant_id) == NONE_UNLINKED
    # when one decides
    await links.decide(tenant_id, "d", "unlink", "ann")
    # then it goes by it, and the other does once it looks again
    assert (await links.unlinked.of(tenant_id)).devices == ("d",)
    assert (await other.unlinked.of(tenant_id)).devices == ()
    clock.advance(SEEN_AFTER_SECONDS)
    assert await other.unlinked.of(tenant_id) == await links.unlinked.of(tenant_id)


async def test_a_look_that_began_before_a_decision_is_not_remembered(
    pool: Pool, clock: ManualClock, tenant_id: str
) -> None:
    links = process(pool, clock)
    looking = asyncio.create_task(links.unlinked.of(tenant_id))
    await asyncio.sleep(0)
    await links.decide(tenant_id, "d", "unlink", "ann")
    await looking
    assert (await links.unlinked.of(tenant_id)).devices == ("d",)


async def test_equal_decisions_have_one_version_and_others_another(
    pool: Pool, clock: ManualClock, tenant_id: str
) -> None:
    links, versions = process(pool, clock), []
    made: list[tuple[str, Verdict]] = [("d", "unlink"), ("e", "unlink"), ("d", "link"), ("d", "unlink"), ("e", "link")]
    for device, verdict in made:
        await links.decide(tenant_id, device, verdict, "ann")
        versions.append((await links.unlinked.of(tenant_id)).version)
    only_d, both, only_e, both_again, only_d_again = versions
    assert len({only_d, both, only_e, ""}) == 4
    assert (both_again, only_d_again) == (both, only_d)


async def test_there_are_only_so_many_and_one_of_them_can_always_be_linked_again(
    pool: Pool, clock: ManualClock, tenant_id: str
) -> None:
    links = process(pool, clock, limit=2)
    for device in ("d", "e"):
        await links.decide(tenant_id, device, "unlink", "ann")
    with pytest.raises(FailedPrecondition) as refused:
        await links.decide(tenant_id, "f", "unlink", "ann")
    assert (refused.value.reason, refused.value.metadata) == ("TOO_MANY_UNLINKED_DEVICES", {"limit": "2"})
    await links.decide(tenant_id, "d", "link", "ann")
    await links.decide(tenant_id, "f", "unlink", "ann")
    assert (await links.unlinked.of(tenant_id)).devices == ("e", "f")


async def test_a_device_is_decided_about_so_often_and_ends_linked(
    pool: Pool, clock: ManualClock, tenant_id: str
) -> None:
    links = process(pool, clock)
    for _ in range(MOST_OF_A_DEVICE // 2):
        await links.decide(tenant_id, "d", "unlink", "ann")
        await links.decide(tenant_id, "d", "link", "ann")
    with pytest.raises(FailedPrecondition) as refused:
        await links.decide(tenant_id, "d", "unlink", "ann")
    assert (refused.value.reason, refused.value.field) == ("TOO_MANY_DECISIONS", "anonymous_id")
    assert (await links.unlinked.of(tenant_id)) == NONE_UNLINKED


async def test_unlinked_devices_are_listed_in_pages_by_their_ids(
    pool: Pool, clock: ManualClock, tenant_id: str
) -> None:
    links = process(pool, clock)
    for device in ("b", "a", "ä", "c"):
        await links.decide(tenant_id, device, "unlink", "ann")
    await links.decide(tenant_id, "c", "link", "ann")
    first = await links.list_unlinked(tenant_id, "", 2)
    rest = await links.list_unlinked(tenant_id, first[-1].anonymous_id, 2)
    assert [one.anonymous_id for one in [*first, *rest]] == ["a", "b", "ä"]


async def test_another_tenants_decisions_are_neither_seen_nor_counted(pool: Pool, clock: ManualClock) -> None:
    links, own, other = process(pool, clock, limit=1), str(uuid.uuid4()), str(uuid.uuid4())
    await links.decide(other, "d", "unlink", "ann")
    assert (await links.unlinked.of(own), await links.of_device(own, "d")) == (NONE_UNLINKED, [])
    assert len(await links.decide(own, "d", "unlink", "ann")) == 1
    assert len(await links.list_unlinked(own, "", 10)) == 1


async def test_a_database_that_is_away_is_try_again_unless_it_was_asked_before(
    pool: Pool, clock: ManualClock, tenant_id: str
) -> None:
    # given a tenant that is known, and one that is not
    links = process(pool, clock)
    await links.decide(tenant_id, "d", "unlink", "ann")
    known = await links.unlinked.of(tenant_id)
    # when PostgreSQL goes away, and time goes by
    pool.terminate()
    clock.advance(SEEN_AFTER_SECONDS * 10)
    # then what was decided counts on, and of the other nothing is made up
    assert await links.unlinked.of(tenant_id) == known
    with pytest.raises(Unavailable) as refused:
        await links.unlinked.of(str(uuid.uuid4()))
    assert refused.value.reason == "DATABASE_UNAVAILABLE"
    with pytest.raises(Unavailable):
        await links.decide(tenant_id, "e", "unlink", "ann")


async def test_a_tenant_whose_decisions_wait_leaves_the_connections_to_the_others(
    pool: Pool, clock: ManualClock, tenant_id: str
) -> None:
    links = process(pool, clock)
    async with tenant_write_transaction(pool, tenant_id) as connection:
        await lock_tenant(connection, uuid.UUID(tenant_id))
        waiting = [asyncio.create_task(links.decide(tenant_id, f"d{i}", "unlink", "ann")) for i in range(10)]
        await asyncio.wait_for(links.decide(str(uuid.uuid4()), "d", "unlink", "bob"), 3)
        assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    assert len((await links.unlinked.of(tenant_id)).devices) == 10


async def test_line_45_without_a_tenant_or_with_another_no_decision_is_seen(
    pool: Pool, clock: ManualClock, tenant_id: str
) -> None:
    await process(pool, clock).decide(tenant_id, "d", "unlink", "ann")
    assert await pool.fetchval("SELECT count(*) FROM link_decisions") == 0
    for named, count in (("", 0), (str(uuid.uuid4()), 0), (tenant_id, 1)):
        async with tenant_transaction(pool, named, readonly=True) as connection:
            assert await connection.fetchval("SELECT count(*) FROM link_decisions") == count


async def test_a_decision_can_be_neither_changed_nor_made_for_another_tenant(
    pool: Pool, clock: ManualClock, tenant_id: str
) -> None:
    await process(pool, clock).decide(tenant_id, "d", "unlink", "ann")
    for statement in (
        "UPDATE link_decisions SET decision = 'link'",
        "INSERT INTO link_decisions (tenant_id, anonymous_id, decision, decided_at, decided_by)"
        " VALUES (gen_random_uuid(), 'd', 'unlink', now(), '')",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with tenant_write_transaction(pool, tenant_id) as connection:
                await connection.execute(statement)
    async with tenant_write_transaction(pool, str(uuid.uuid4())) as connection:
        assert await connection.execute("DELETE FROM link_decisions") == "DELETE 0"
