"""Names of events and of fields: what there is, found by a text, and usable as a filter again."""

import uuid
from typing import Any

import pytest
from hypothesis import note
from hypothesis import strategies as st

from obc_common.errors import InvalidArgument
from obc_query.comparison import Comparison
from obc_query.fields import BUILT_IN_FIELDS, resolve_field
from obc_query.questions.list_events import MAX_PAGE_SIZE, ListQuestion, keys_statement
from obc_query.ranges import TimeRange
from obc_query.vocabulary import EVENT_NAMES, PROPERTY_NAMES, sample
from tests.oracle.running import over_histories
from tests.oracle.vocabulary import property_names, values_of
from tests.support.insights import InsightDesk
from tests.support.stored_events import Stored

DAY = 86_400_000
NOW = 1_760_000_000_000
START = NOW - 10 * DAY
MANY = 60_000
HOSTILE = [
    "it's", '"', "`", "``", "\\", "\\`", "%", "_", "a.b", ".", "..", ".a", "a.", "a..b", "__proto__", "$set",
    "emoji 😀", "a:b", "x') ; DROP TABLE events;--", "{p0:String}", "{tenant:UUID}", "new\nline", "tab\t", "size0",
    "null", "^a", "a[]", "x.:Int64", "/* */", "--", "?", "$1", "%s", " ", "é", "\u202e", "a" * 128, "%2E", "a%2Eb",
]  # fmt: skip

keys = st.sampled_from(["a", "b", "A", "a.b", "a.", "", "é", "plan", "`"])
scalars = st.sampled_from(["x", "y", "", "5", 5, 5.5, -3, 0, True, False, None, 2**63, [1], ["x", {"k": 1}], "z" * 201])
objects = st.recursive(scalars, lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=6)


@st.composite
def cases(draw: st.DrawFn) -> list[Stored]:
    return [
        Stored(START + draw(st.integers(0, 5)) * DAY, properties=draw(st.dictionaries(keys, objects, max_size=4)))
        for _ in range(draw(st.integers(0, 8)))
    ]


@over_histories(cases())
async def test_every_property_that_a_filter_can_name_is_listed(desk: InsightDesk, case: list[Stored]) -> None:
    note(f"{case}")
    answer = await desk.ask(PROPERTY_NAMES, desk.store(case), {}, now_ms=NOW)

    assert (answer["estimated"], answer["truncated"]) == (False, False)
    assert answer["events_total"] == answer["events_examined"] == len(case)
    values = {found["name"]: found.pop("sample_values") for found in answer["properties"]}
    assert answer["properties"] == property_names(case)
    for name, shown in values.items():
        there = values_of(case, name)
        counts = [there[_type(value), value] for value in shown]
        assert len(shown) == min(10, len(there))
        assert counts == sorted(counts, reverse=True)
        assert all(counts)


def _type(value: Any) -> str:
    return "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"


async def test_every_name_and_value_works_as_a_filter(desk: InsightDesk) -> None:
    events = [Stored(START + n, properties={key: f"value of {key}"}) for n, key in enumerate(HOSTILE)]
    events += [
        Stored(START + 100, properties={"cart": {"total": 12.5, "gift": False, "deep": {"er": "x"}}, "n": 7}),
        Stored(START + 101, properties={"a": {"b": "nested"}, "list": [1, 2], "mixed": "1"}),
        Stored(START + 102, properties={"mixed": 1}),
    ]
    tenant_id = desk.store(events)

    answer = await desk.ask(PROPERTY_NAMES, tenant_id, {"limit": 1000}, now_ms=NOW)

    names = {found["name"] for found in answer["properties"]}
    # A key that holds %2E shares its path with the one that has a dot there.
    assert names >= {f"properties.{key}" for key in HOSTILE if "%2E" not in key}
    assert names >= {f"properties.{key}" for key in ("cart.total", "cart.gift", "cart.deep.er", "list")}
    for found in answer["properties"]:
        assert await _matching(desk, tenant_id, found["name"], "exists") == found["events"], found
        for value in found["sample_values"]:
            assert await _matching(desk, tenant_id, found["name"], "eq", value) >= 1, (found, value)


async def _matching(desk: InsightDesk, tenant_id: str, name: str, operator: str, *values: Any) -> int:
    comparison = Comparison(resolve_field(name, "field"), operator, values)
    question = ListQuestion(None, None, [], [comparison], MAX_PAGE_SIZE, None)
    async with desk.model.asking(tenant_id) as asker:
        return len(await asker.fetch(keys_statement(tenant_id, question)))


async def test_every_built_in_field_is_listed_used_or_not(desk: InsightDesk) -> None:
    device = {"browser": "Firefox", "screen_width": 390}
    tenant_id = desk.store([Stored(START, user="u1", device=device), Stored(START + 5, user="u2", device=device)])

    answer = await desk.ask(PROPERTY_NAMES, tenant_id, {}, now_ms=NOW)
    fields = {found["name"]: found for found in answer["fields"]}

    assert [found["name"] for found in answer["fields"]] == [field.name for field in BUILT_IN_FIELDS]
    assert fields["device_info.browser"] == {
        "name": "device_info.browser",
        "types": [{"type": "string", "events": 2}],
        "events": 2,
        "first_seen": START,
        "last_seen": START + 5,
        "sample_values": ["Firefox"],
    }
    assert fields["device_info.screen_width"]["sample_values"] == [390]
    assert sorted(fields["user_id"]["sample_values"]) == ["u1", "u2"]
    unused = {"name": "referrer", "types": [{"type": "string", "events": 0}], "events": 0, "sample_values": []}
    assert fields["referrer"] == unused


async def test_a_text_finds_names_and_those_that_begin_with_it_come_first(desk: InsightDesk) -> None:
    common = [Stored(START + n, name="old_plan", properties={"old_plan": 1}) for n in range(3)]
    tenant_id = desk.store([*common, Stored(START, name="Plan_chosen", properties={"Plan": 1, "x": 1})])

    events = await desk.ask(EVENT_NAMES, tenant_id, {"q": "pLaN"}, now_ms=NOW)
    fields = await desk.ask(PROPERTY_NAMES, tenant_id, {"q": "pLaN"}, now_ms=NOW)
    narrow = await desk.ask(PROPERTY_NAMES, tenant_id, {"q": "device_info.br"}, now_ms=NOW)

    assert [found["event_name"] for found in events["events"]] == ["Plan_chosen", "old_plan"]
    assert [found["name"] for found in fields["properties"]] == ["properties.Plan", "properties.old_plan"]
    assert fields["fields"] == []
    assert [found["name"] for found in narrow["fields"]] == ["device_info.browser", "device_info.browser_version"]


async def test_more_than_the_limit_is_said(desk: InsightDesk) -> None:
    events = [Stored(START + n, name=f"e{n}", properties={f"k{n}": n, "all": n if n % 2 else "x"}) for n in range(3)]
    tenant_id = desk.store(events)

    names = await desk.ask(EVENT_NAMES, tenant_id, {"limit": 2}, now_ms=NOW)
    fields = await desk.ask(PROPERTY_NAMES, tenant_id, {"limit": 2}, now_ms=NOW)
    enough = await desk.ask(PROPERTY_NAMES, tenant_id, {"limit": 4}, now_ms=NOW)

    assert ([found["event_name"] for found in names["events"]], names["truncated"]) == (["e0", "e1"], True)
    assert [found["name"] for found in fields["properties"]] == ["properties.all", "properties.k0"]
    assert (fields["truncated"], enough["truncated"], len(enough["properties"])) == (True, False, 4)


async def test_events_are_counted_in_the_range_and_of_their_tenant_only(desk: InsightDesk) -> None:
    tenant_id = desk.store(
        [
            Stored(START, name="signup", user="u1"),
            Stored(START + 7, name="signup", user="u1"),
            Stored(START + 9, name="signup", anonymous="a1"),
            Stored(NOW - 31 * DAY, name="old", properties={"old": 1}),
            Stored(START, name="nobody", properties={"mine": 1}),
        ]
    )
    desk.store([Stored(START, name="theirs", properties={"theirs": 1})])

    names = await desk.ask(EVENT_NAMES, tenant_id, {}, now_ms=NOW)
    fields = await desk.ask(PROPERTY_NAMES, tenant_id, {}, now_ms=NOW)
    of_signup = await desk.ask(PROPERTY_NAMES, tenant_id, {"event_name": "signup"}, now_ms=NOW)
    ever = await desk.ask(EVENT_NAMES, tenant_id, {"from": "0"}, now_ms=NOW)

    assert names["events"] == [
        {"event_name": "signup", "events": 3, "users": 2, "first_seen": START, "last_seen": START + 9},
        {"event_name": "nobody", "events": 1, "users": 0, "first_seen": START, "last_seen": START},
    ]
    assert [found["name"] for found in fields["properties"]] == ["properties.mine"]
    assert (of_signup["properties"], of_signup["events_total"]) == ([], 3)
    assert {found["event_name"] for found in ever["events"]} == {"signup", "nobody", "old"}


async def test_sampled_events_count_for_those_they_stand_for(desk: InsightDesk) -> None:
    kept = Stored(START, name="e", user="u1", properties={"p": 1}, sample_rate=0.25)
    tenant_id = desk.store([kept, Stored(START, name="e", user="u2", properties={"p": 2})])

    names = await desk.ask(EVENT_NAMES, tenant_id, {}, now_ms=NOW)
    fields = await desk.ask(PROPERTY_NAMES, tenant_id, {}, now_ms=NOW)

    assert names["info"]["sampled"]
    assert fields["info"]["sampled"]
    assert (names["events"][0]["events"], names["events"][0]["users"]) == (5, 5)
    assert (fields["properties"][0]["events"], fields["events_total"]) == (5, 2)


async def test_the_most_frequent_values_come_first_whatever_their_type(desk: InsightDesk) -> None:
    values: list[Any] = ["b"] * 3 + [7] * 4 + [True] * 2 + [f"once {n:02}" for n in range(20)]
    tenant_id = desk.store([Stored(START + n, properties={"p": value}) for n, value in enumerate(values)])

    [found] = (await desk.ask(PROPERTY_NAMES, tenant_id, {}, now_ms=NOW))["properties"]

    assert found["sample_values"] == [7, "b", True, *(f"once {n:02}" for n in range(7))]


# Blocks of the real size are all read of so few events; of smaller ones, some.
@pytest.mark.parametrize("block_rows", [8192, 512])
async def test_many_events_are_sampled_and_what_is_rare_is_found(
    desk: InsightDesk, monkeypatch: pytest.MonkeyPatch, block_rows: int
) -> None:
    monkeypatch.setattr(sample, "_BLOCK_ROWS", block_rows)
    monkeypatch.setattr(sample, "_BLOCK", f"intDiv(_part_offset, {block_rows}) + _part_index")
    tenant_id = str(uuid.uuid4())
    desk.store_for(tenant_id, [Stored(START + 1, name="seldom", properties={"rare": "x"})])
    desk.handle.command(
        "INSERT INTO events (tenant_id, event_id, event_name, user_id, event_time, properties, sample_rate)"
        " SELECT toUUID({tenant:String}), generateUUIDv4(), if(number % 3 = 0, 'a', 'b'), toString(number % 500),"
        " fromUnixTimestamp64Milli(toInt64({start:Int64} + number)), concat('{\"all\":', toString(number % 7),"
        " if(number % 3 = 0, ',\"third\":\"x\"', ''), '}'), 1 FROM numbers({many:UInt64})",
        {"tenant": tenant_id, "start": START, "many": MANY},
    )

    answer = await desk.ask(PROPERTY_NAMES, tenant_id, {}, now_ms=NOW)
    found = {item["name"]: item for item in answer["properties"]}
    of_rare = await desk.ask(PROPERTY_NAMES, tenant_id, {"event_name": "seldom"}, now_ms=NOW)

    assert (answer["estimated"], answer["events_total"]) == (True, MANY + 1)
    assert 10_000 < answer["events_examined"] < 30_000
    assert found["properties.all"]["events"] == pytest.approx(MANY, rel=0.01)
    assert found["properties.third"]["events"] == pytest.approx(MANY / 3, rel=0.05)
    assert sorted(found["properties.all"]["sample_values"]) == list(range(7))
    assert found["properties.rare"]["events"] == 1
    assert (of_rare["estimated"], of_rare["events_examined"]) == (False, 1)


@pytest.mark.parametrize("total", [0, 1, 24, 25, 8192, 200_000, 10**7, 10**9])
@pytest.mark.parametrize("share", [1e-6, 1e-3, 1.0])
def test_the_cost_of_a_sample_is_bounded(total: int, share: float) -> None:
    meant = int(total * share)
    taken = sample.choose(TimeRange(START, NOW), "x", [(1, "", total, meant, float(meant))])

    blocks = min(total / 8192, meant) / taken.one_block_of
    assert blocks <= 24
    assert meant / taken.one_block_of / taken.one_row_of <= 24_576
    # Enough is left to tell something.
    assert meant / taken.one_block_of / taken.one_row_of >= min(meant, 11)


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({"q": "x" * 201}, "BAD_SEARCH", "q"),
        ({"limit": 1001}, "OUT_OF_RANGE", "limit"),
        ({"limit": -1}, "OUT_OF_RANGE", "limit"),
        ({"from": "2", "to": "1"}, "BAD_RANGE", "to"),
        ({"from": "soon"}, "BAD_TIME", "from"),
    ],
)
async def test_bad_requests_name_the_field(desk: InsightDesk, body: dict[str, Any], reason: str, field: str) -> None:
    for names in (EVENT_NAMES, PROPERTY_NAMES):
        with pytest.raises(InvalidArgument) as refused:
            await desk.ask(names, str(uuid.uuid4()), body, now_ms=NOW)
        assert (refused.value.reason, refused.value.field) == (reason, field)


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_hostile_text_is_only_a_text(desk: InsightDesk, text: str) -> None:
    tenant_id = desk.store([Stored(START, name=text, properties={text: 1})])
    names = await desk.ask(EVENT_NAMES, tenant_id, {"q": text}, now_ms=NOW)
    assert [found["event_name"] for found in names["events"]] == [text]
