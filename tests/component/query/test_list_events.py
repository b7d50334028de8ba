"""ListEvents: what was stored comes back verbatim, newest first, page by page, found by any property."""

import uuid
from typing import Any

import asyncpg
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obc.query.v1 import stored_event_pb2
from obc_common.errors import InvalidArgument
from obc_query.questions.list_events import EventPage, list_events
from obc_query.requests import list_question, page_token
from tests.support.read_model import ReadModel
from tests.support.stored_events import Stored

NOW = 1_760_000_000_000
SECRET = "s" * 32


async def page(read_model: ReadModel, tenant_id: str, **arguments: Any) -> tuple[EventPage, str]:
    request = stored_event_pb2.ListEventsRequest(**arguments)
    question = list_question(request, tenant_id, SECRET)
    async with read_model.asking(tenant_id) as asker:
        found = await list_events(asker, read_model.pool, tenant_id, question, NOW)
    token = "" if found.next_after is None else page_token(request, tenant_id, SECRET, found.next_after)
    return found, token


async def ids(read_model: ReadModel, tenant_id: str, **arguments: Any) -> list[uuid.UUID]:
    found, _ = await page(read_model, tenant_id, **arguments)
    return [row["event_id"] for row in found.rows]


async def test_events_come_newest_first_and_another_tenants_never(read_model: ReadModel, tenant_id: str) -> None:
    events = [Stored(NOW + n) for n in (5, 1, 9)]
    await read_model.store(tenant_id, events)
    await read_model.store(str(uuid.uuid4()), [Stored(NOW + 7)])
    wanted = [event.event_id for event in sorted(events, key=lambda event: -event.at)]
    assert await ids(read_model, tenant_id) == wanted


async def test_properties_come_back_verbatim(read_model: ReadModel, tenant_id: str) -> None:
    properties = {
        "d": "2025-01-01",
        "n": None,
        "f": 1.0,
        "a.b": {"c": [1, "x", None, {"k": True}]},
        "": "empty",
        "é": "\\'`",
    }
    await read_model.store(tenant_id, [Stored(NOW, properties=properties)])
    found, _ = await page(read_model, tenant_id)
    assert orjson.loads(found.rows[0]["properties"]) == properties


async def test_pages_neither_miss_nor_repeat_while_events_arrive(read_model: ReadModel, tenant_id: str) -> None:
    # Given more events in one millisecond than a page holds
    events = [Stored(NOW + n // 10) for n in range(40)]
    await read_model.store(tenant_id, events)
    seen: list[uuid.UUID] = []
    token = ""
    for _ in range(20):
        found, token = await page(read_model, tenant_id, page_size=7, page_token=token)
        seen += [row["event_id"] for row in found.rows]
        await read_model.store(tenant_id, [Stored(NOW + 1000)])
        if not token:
            break
    assert sorted(seen) == sorted(event.event_id for event in events)


async def test_a_token_is_bound_to_its_arguments_and_tenant(read_model: ReadModel, tenant_id: str) -> None:
    await read_model.store(tenant_id, [Stored(NOW + n) for n in range(3)])
    _, token = await page(read_model, tenant_id, page_size=1, event_name="page_view")
    cases: list[tuple[str, dict[str, Any]]] = [
        (tenant_id, {"event_name": "x"}),
        (tenant_id, {"event_name": "page_view", "filter": ["event_name:eq:page_view"]}),
        (str(uuid.uuid4()), {"event_name": "page_view"}),
    ]
    for other, arguments in cases:
        with pytest.raises(InvalidArgument) as refused:
            await page(read_model, other, page_token=token, **arguments)
        assert (refused.value.reason, refused.value.field) == ("BAD_PAGE_TOKEN", "page_token")


async def test_a_page_size_is_capped_and_a_negative_one_refused(read_model: ReadModel, tenant_id: str) -> None:
    await read_model.store(tenant_id, [Stored(NOW + n) for n in range(1005)])
    assert len(await ids(read_model, tenant_id)) == 100
    assert len(await ids(read_model, tenant_id, page_size=10**9)) == 1000
    with pytest.raises(InvalidArgument) as refused:
        await ids(read_model, tenant_id, page_size=-1)
    assert (refused.value.reason, refused.value.field) == ("BAD_PAGE_SIZE", "page_size")


async def test_a_page_of_large_events_ends_early_and_goes_on(read_model: ReadModel, tenant_id: str) -> None:
    await read_model.store(
        tenant_id, [Stored(NOW + n, properties={f"p{i}": "x" * 8000 for i in range(4)}) for n in range(400)]
    )
    found, token = await page(read_model, tenant_id, page_size=1000)
    assert 100 < len(found.rows) < 400
    rest, token = await page(read_model, tenant_id, page_size=1000, page_token=token)
    assert len(found.rows) + len(rest.rows) == 400
    assert token == ""


async def test_rows_that_are_gone_are_left_out(read_model: ReadModel, tenant_id: str, database: str) -> None:
    events = [Stored(NOW + n) for n in range(3)]
    await read_model.store(tenant_id, events)
    connection = await asyncpg.connect(database)
    await connection.execute("DELETE FROM analytics_events WHERE event_id = $1", events[1].event_id)
    await connection.close()
    assert await ids(read_model, tenant_id) == [events[2].event_id, events[0].event_id]


async def test_the_plain_arguments_and_the_range_choose(read_model: ReadModel, tenant_id: str) -> None:
    a = Stored(NOW, name="a", category="c1", user="u1", session="s1")
    b = Stored(NOW + 1, name="b", category="c2", user="u2", session="s2")
    await read_model.store(tenant_id, [a, b])
    for argument, value in [("event_name", "a"), ("event_category", "c1"), ("user_id", "u1"), ("session_id", "s1")]:
        assert await ids(read_model, tenant_id, **{argument: value}) == [a.event_id]
    assert await ids(read_model, tenant_id, from_time=str(NOW + 1)) == [b.event_id]
    assert await ids(read_model, tenant_id, to_time=str(NOW + 1)) == [a.event_id]


HOSTILE = [
    "it's", '"', "`", "``", "\\", "\\`", "%", "_", "a.b", ".", "..", ".a", "a.", "__proto__", "constructor", "$set",
    "emoji 😀", "a:b", "x') ; DROP TABLE events;--", "{p0:String}", "{tenant:UUID}", "new\nline", "tab\t", "size0",
    "null", "^a", "a[]", "x.:Int64", "/* */", "--", "?", "$1", "%s", "%(x)s", " ", "é", "\u202e", "a" * 128,
]  # fmt: skip


async def test_hostile_names_and_values_are_data(read_model: ReadModel, tenant_id: str) -> None:
    by_key = {key: Stored(NOW + n, properties={key: key}) for n, key in enumerate(HOSTILE)}
    await read_model.store(tenant_id, by_key.values())
    for key, event in by_key.items():
        for operator in ("eq", "contains", "starts_with", "gte", "lte"):
            found = await ids(read_model, tenant_id, filter=[f"properties.{key}:{operator}:{key}"])
            assert found == [event.event_id], (key, operator)
        assert await ids(read_model, tenant_id, filter=[f"properties.{key}:exists"]) == [event.event_id]
        assert await ids(read_model, tenant_id, filter=[f"event_name:eq:{key}"]) == []


async def test_a_dotted_name_is_the_property_of_that_name_or_a_nested_value(
    read_model: ReadModel, tenant_id: str
) -> None:
    flat = Stored(NOW, properties={"a.b": "x"})
    nested = Stored(NOW + 1, properties={"a": {"b": "x"}})
    both = Stored(NOW + 2, properties={"a.b": "y", "a": {"b": "x"}})
    await read_model.store(tenant_id, [flat, nested, both])
    assert await ids(read_model, tenant_id, filter=["properties.a.b:eq:x"]) == [nested.event_id, flat.event_id]


async def test_a_number_never_equals_a_string(read_model: ReadModel, tenant_id: str) -> None:
    values: list[Any] = [5, "5", 5.0, "5.0", True, "true", None, [5], "05"]
    events = [Stored(NOW + n, properties={"v": value}) for n, value in enumerate(values)]
    await read_model.store(tenant_id, events)

    async def matching(condition: str) -> list[Any]:
        found = await ids(read_model, tenant_id, filter=[f"properties.v:{condition}"])
        return [value for event, value in zip(events, values, strict=True) if event.event_id in found]

    assert await matching("eq:5") == [5, "5", 5.0]
    assert await matching("eq:5.0") == [5, 5.0, "5.0"]
    assert await matching("eq:05") == ["05"]
    assert await matching("eq:true") == [True, "true"]
    assert await matching("gt:4") == [5, 5.0]
    assert await matching("gte:t") == ["true"]
    assert await matching("contains:5") == ["5", "5.0", "05"]


safe_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20)


@pytest.fixture
async def any_tenant(read_model: ReadModel) -> ReadModel:
    await read_model.catch_up()
    return read_model


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.dictionaries(safe_text, safe_text, min_size=1, max_size=4))
async def test_any_property_is_found_by_its_name_and_value(any_tenant: ReadModel, data: dict[str, str]) -> None:
    tenant_id = str(uuid.uuid4())
    event = Stored(NOW, properties=data)
    await any_tenant.store(tenant_id, [event])
    for key, value in data.items():
        # The first `:op:` splits, and a key with `%2E` shares its path with the one with a dot.
        if ":" not in key and "%2E" not in key:
            assert await ids(any_tenant, tenant_id, filter=[f"properties.{key}:eq:{value}"]) == [event.event_id]
            assert await ids(any_tenant, tenant_id, filter=[f"properties.{key}:eq:{value}!"]) == []


async def test_a_page_reaches_back_as_far_as_it_must(read_model: ReadModel, tenant_id: str) -> None:
    day = 86_400_000
    ages = [
        -1,
        0,
        1,
        7,
        9,
        63,
        65,
        400,
    ]  # one lies ahead of the clock, the others in every look back and behind the last
    events = [Stored(NOW - age * day) for age in ages]
    await read_model.store(tenant_id, events)
    expected = [event.event_id for event in events]
    assert await ids(read_model, tenant_id) == expected
    assert await ids(read_model, tenant_id, page_size=5) == expected[:5]
    assert await ids(read_model, tenant_id, from_time=str(NOW - 10 * day)) == expected[:5]
    assert await ids(read_model, tenant_id, to_time=str(NOW - 8 * day)) == expected[4:]
    first, token = await page(read_model, tenant_id, page_size=4)
    rest, _ = await page(read_model, tenant_id, page_size=4, page_token=token)
    assert [row["event_id"] for row in [*first.rows, *rest.rows]] == expected
