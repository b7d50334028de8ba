"""What happened on a device before somebody signed in is theirs: in every answer, at once, and never written down."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from obc_query.identity.links import linked_people
from obc_query.insights.stickiness import STICKINESS
from obc_query.statement import Binder, Events, Select, Statement
from tests.oracle.identity import linked
from tests.support.insights import InsightDesk, open_desk
from tests.support.read_model import ReadModel
from tests.support.stored_events import Stored

START = 1_750_000_000_000
DAY = 86_400_000
WEEK = {"from": str(START), "to": str(START + 7 * DAY)}
LATER = 4_000_000_000_000


@pytest.fixture
def desk(read_model: ReadModel) -> Iterator[InsightDesk]:
    desk = open_desk(read_model)
    yield desk
    desk.handle.close()


async def people(desk: InsightDesk, tenant_id: str, *where: str) -> list[str]:
    statement = Statement(tenant_id, "test", Select(["DISTINCT person"], Events(where=where), order_by=["person"]))
    async with desk.model.asking(tenant_id) as asker:
        return [row[0] for row in await asker.fetch(statement)]


def anonymous(at: int, device: str) -> Stored:
    return Stored(at, anonymous=device)


def known(at: int, user: str, device: str) -> Stored:
    return Stored(at, user=user, anonymous=device)


@pytest.mark.parametrize(
    ("events", "who"),
    [
        pytest.param([anonymous(1, "d"), known(2, "u", "d")], ["u"], id="the past of a device is its user's"),
        pytest.param([known(1, "u", "d"), anonymous(2, "d")], ["u"], id="and so is what follows signed out"),
        pytest.param(
            [anonymous(1, "d"), known(2, "u", "d"), known(3, "v", "d")],
            ["u", "v"],
            id="of several users the first, whose later events stay their own",
        ),
        pytest.param(
            [known(5, "b", "d"), known(5, "a", "d"), anonymous(1, "d")],
            ["a", "b"],
            id="of two at the same moment the first by name",
        ),
        pytest.param(
            [anonymous(1, "d"), known(2, "u", "d"), anonymous(1, "e"), known(2, "u", "e")],
            ["u"],
            id="several devices are one person",
        ),
        pytest.param([anonymous(1, "d"), Stored(1, user="u")], ["d", "u"], id="without an event of both no link"),
        pytest.param(
            [anonymous(1, "u1"), known(1, "d", "x"), Stored(1, user="u1"), anonymous(1, "d")],
            ["d", "u1"],
            id="a user whose id looks like a device is no device",
        ),
        pytest.param([Stored(1, session="s"), Stored(2, user="u", session="s")], ["s", "u"], id="no link by session"),
    ],
)
async def test_who_events_belong_to(desk: InsightDesk, events: list[Stored], who: list[str]) -> None:
    first, second = desk.store(events), desk.store(reversed(events))
    assert await people(desk, first) == await people(desk, second) == who
    assert {event.user or event.owner or event.anonymous or event.session for event in linked(events)} == set(who)


async def test_an_event_that_comes_late_corrects_what_was_answered(desk: InsightDesk) -> None:
    # given an answer without a link, then with one, then with an earlier one
    tenant_id = desk.store([Stored(START, anonymous="d"), Stored(START, user="w")])
    seen = [await people(desk, tenant_id)]
    for event in (Stored(START + 9, user="v", anonymous="d"), Stored(START + 5, user="u", anonymous="d")):
        desk.store_for(tenant_id, [event])
        seen.append(await people(desk, tenant_id))
    assert seen == [["d", "w"], ["v", "w"], ["u", "v", "w"]]


async def test_deleting_the_event_that_linked_takes_the_link_back(desk: InsightDesk) -> None:
    edge = Stored(START + 5, user="u", anonymous="d")
    tenant_id = desk.store([Stored(START, anonymous="d"), edge])
    assert await people(desk, tenant_id) == ["u"]

    desk.handle.command("DELETE FROM events WHERE event_id = {id:UUID}", {"id": str(edge.event_id)})

    assert await people(desk, tenant_id) == ["d"]


async def test_a_question_counts_the_person_once(desk: InsightDesk) -> None:
    events = [Stored(START, anonymous="d"), Stored(START + DAY, user="u", anonymous="d"), Stored(START, user="v")]
    answer: dict[str, Any] = await desk.ask(STICKINESS, desk.store(events), WEEK, now_ms=LATER)
    assert answer["users"] == 2
    assert [bar["users"] for bar in answer["bars"][:2]] == [1, 1]


async def test_another_tenants_links_are_not_ours(desk: InsightDesk) -> None:
    desk.store([Stored(1, anonymous="d"), Stored(2, user="theirs", anonymous="d")])
    ours = desk.store([Stored(1, anonymous="d"), Stored(2, user="u", anonymous="other"), Stored(3, anonymous="other")])
    assert await people(desk, ours) == ["d", "u"]


async def test_a_filter_by_user_means_the_events_own_field(desk: InsightDesk) -> None:
    tenant_id = desk.store([Stored(1, anonymous="d"), Stored(2, user="u", anonymous="d")])
    assert await people(desk, tenant_id, "user_id = ''") == ["u"]


async def test_edges_come_from_what_is_kept_beside_the_events(desk: InsightDesk) -> None:
    """Without it a question about an hour would read every event there ever was."""
    devices = 50
    tenant_id = desk.store(
        Stored(START + number, user=f"u{number % devices}" if number % 3 else None, anonymous=f"d{number % devices}",
               event_id=uuid.UUID(int=number + 1))
        for number in range(5_000)
    )  # fmt: skip
    binder = Binder()
    hour = Events(binder.moment(START + 10 * DAY), binder.moment(START + 10 * DAY + 3_600_000))
    await desk.decide(tenant_id, "d1", "unlink")
    async with desk.model.asking(tenant_id) as asker:
        await asker.fetch(Statement(tenant_id, "test", Select(["uniqExact(person)"], hour), binder))
        assert asker.rows_read <= 3 * devices


async def test_thousands_of_unlinked_devices_are_left_out_along_what_is_kept(desk: InsightDesk) -> None:
    """As many as a tenant may have, with the longest ids there are."""
    devices = [f"{number:05d}".ljust(200, "x") for number in range(10_000)]
    events = [Stored(START, anonymous=device) for device in ("d", devices[0], devices[-1])]
    tenant_id = desk.store([*events, *(Stored(START + 1, user="u", anonymous=event.anonymous) for event in events)])
    people = linked_people(devices)
    statement = Statement(tenant_id, "test", Select(["DISTINCT person"], Events(), order_by=["person"]), linked=people)
    rows = (await desk.model.engine.fetch(statement, timeout=10)).rows
    assert [row[0] for row in rows] == [devices[0], devices[-1], "u"]
