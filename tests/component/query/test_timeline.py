"""One person's events, in both directions."""

import uuid
from typing import Any

import orjson
import pytest

from obc.query.v1 import timeline_pb2
from obc_common.errors import InvalidArgument
from obc_query.questions.list_events import list_events
from obc_query.timeline import timeline_question, timeline_response
from tests.support.read_model import ReadModel
from tests.support.stored_events import Stored

NOW = 1_760_000_000_000
DAY = 86_400_000
SECRET = "s" * 32

Page = timeline_pb2.GetUserTimelineResponse


async def page(read_model: ReadModel, tenant_id: str, person: str, **arguments: Any) -> Page:
    request = timeline_pb2.GetUserTimelineRequest(id=person, **arguments)
    question = timeline_question(request, tenant_id, SECRET)
    async with read_model.asking(tenant_id) as asker:
        found = await list_events(asker, read_model.pool, tenant_id, question, NOW)
    return timeline_response(found, request, tenant_id, SECRET)


def ids(found: Page) -> list[str]:
    return [event.event_id for event in found.events]


async def test_it_has_the_events_that_are_counted_as_the_persons(read_model: ReadModel, tenant_id: str) -> None:
    known = [Stored(NOW - n, user="u1", anonymous="a1", properties={"n": n}) for n in (5, 1)]
    before_signing_in, stranger = Stored(NOW - 3, anonymous="a1"), Stored(NOW - 2, anonymous="a2")
    others = [stranger, Stored(NOW, user="u2"), Stored(NOW)]
    await read_model.store(tenant_id, [*known, before_signing_in, *others])
    await read_model.store(str(uuid.uuid4()), [Stored(NOW, user="u1")])

    timeline = await page(read_model, tenant_id, "u1")

    assert ids(timeline) == [str(event.event_id) for event in (known[1], before_signing_in, known[0])]
    assert orjson.loads(timeline.events[0].properties_json) == {"n": 1}
    assert (timeline.next_page_token, timeline.previous_page_token) == ("", "")
    assert ids(await page(read_model, tenant_id, "a2")) == [str(stranger.event_id)]
    assert ids(await page(read_model, tenant_id, "a1")) == []
    assert ids(await page(read_model, tenant_id, "nobody")) == []


@pytest.mark.parametrize("person", ["auth0|1", "a:b", "a/b", "ü", "' OR 1=1 --", "{tenant:UUID}", " ", "\\"])
async def test_any_id_is_only_an_id(read_model: ReadModel, tenant_id: str, person: str) -> None:
    event = Stored(NOW, user=person)
    await read_model.store(tenant_id, [event, Stored(NOW, user="other")])
    assert ids(await page(read_model, tenant_id, person)) == [str(event.event_id)]


async def test_names_and_range_choose(read_model: ReadModel, tenant_id: str) -> None:
    a, b, c = (Stored(NOW - n * DAY, name=name, user="u") for n, name in enumerate("abc"))
    await read_model.store(tenant_id, [a, b, c])
    assert ids(await page(read_model, tenant_id, "u", event_name=["a", "c"])) == [str(a.event_id), str(c.event_id)]
    since = await page(read_model, tenant_id, "u", from_time=str(NOW - DAY))
    until = await page(read_model, tenant_id, "u", to_time=str(NOW))
    assert (ids(since), ids(until)) == ([str(a.event_id), str(b.event_id)], [str(b.event_id), str(c.event_id)])


async def test_pages_lead_to_the_end_and_back_again_while_events_arrive(read_model: ReadModel, tenant_id: str) -> None:
    # Given events over a year, more of them in one millisecond than a page holds
    events = [Stored(NOW - (n // 10) * 90 * DAY, user="u") for n in range(40)]
    await read_model.store(tenant_id, events)
    pages = [await page(read_model, tenant_id, "u", page_size=7)]
    while token := pages[-1].next_page_token:
        pages.append(await page(read_model, tenant_id, "u", page_size=7, page_token=token))
        await read_model.store(tenant_id, [Stored(NOW - 45 * DAY, user="other"), Stored(NOW + 5, user="u")])
    forwards = [event for found in pages for event in ids(found)]
    assert sorted(forwards) == sorted(str(event.event_id) for event in events)

    # When going back from the last page
    backwards = ids(pages[-1])
    found = pages[-1]
    while token := found.previous_page_token:
        found = await page(read_model, tenant_id, "u", page_size=7, page_token=token)
        backwards = ids(found) + backwards

    # Then the same events come in the same order, behind those that arrived meanwhile
    assert backwards[-40:] == forwards
    assert len(backwards) == 40 + len(pages) - 1
    # And from the newest page the way leads down again
    again = await page(read_model, tenant_id, "u", page_size=7, page_token=found.next_page_token)
    assert ids(again) == backwards[len(found.events) :][:7]


async def test_a_page_of_large_events_ends_early_on_the_far_side_when_going_back(
    read_model: ReadModel, tenant_id: str
) -> None:
    large = {f"p{i}": "x" * 8000 for i in range(4)}
    events = [Stored(NOW + n, user="u", properties=large) for n in range(400)]
    await read_model.store(tenant_id, [*events, Stored(NOW - 1, user="u")])
    last = await page(read_model, tenant_id, "u", page_size=1, from_time="0")
    while last.next_page_token:
        last = await page(read_model, tenant_id, "u", page_size=1000, from_time="0", page_token=last.next_page_token)
    back = await page(read_model, tenant_id, "u", page_size=1000, from_time="0", page_token=last.previous_page_token)
    assert 100 < len(back.events) < 400
    oldest = {event.event_time_ms for event in last.events}
    assert back.events[-1].event_time_ms == max(oldest) + 1
    assert back.previous_page_token


async def test_a_token_is_bound_to_person_arguments_and_tenant(read_model: ReadModel, tenant_id: str) -> None:
    await read_model.store(tenant_id, [Stored(NOW - n, user="u") for n in range(3)])
    token = (await page(read_model, tenant_id, "u", page_size=1)).next_page_token
    cases: list[tuple[str, str, dict[str, Any]]] = [
        (tenant_id, "v", {}),
        (tenant_id, "u", {"event_name": ["x"]}),
        (str(uuid.uuid4()), "u", {}),
    ]
    for other, person, arguments in cases:
        with pytest.raises(InvalidArgument) as refused:
            await page(read_model, other, person, page_token=token, **arguments)
        assert (refused.value.reason, refused.value.field) == ("BAD_PAGE_TOKEN", "page_token")


@pytest.mark.parametrize(
    ("arguments", "reason", "field"),
    [
        ({"id": ""}, "BAD_ID", "id"),
        ({"id": "x" * 201}, "BAD_ID", "id"),
        ({"event_name": [""]}, "BAD_EVENT_NAME", "event_name"),
        ({"event_name": ["x"] * 101}, "TOO_MANY_NAMES", "event_name"),
        ({"from_time": "2", "to_time": "1"}, "BAD_RANGE", "to"),
        ({"page_size": -1}, "BAD_PAGE_SIZE", "page_size"),
        ({"page_token": "x"}, "BAD_PAGE_TOKEN", "page_token"),
    ],
)
def test_mistakes_are_named(arguments: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        timeline_question(timeline_pb2.GetUserTimelineRequest(**{"id": "u", **arguments}), "t", SECRET)
    assert (refused.value.reason, refused.value.field) == (reason, field)
