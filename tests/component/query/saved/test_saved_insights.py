"""Saved insights in PostgreSQL: made, changed, found, deleted, restored."""

import asyncio
import uuid
from typing import Any

import pytest

from obc_common.clock import SystemClock
from obc_common.errors import Aborted, AlreadyExists, DomainError, FailedPrecondition, InvalidArgument, NotFound
from obc_common.postgres import Pool
from obc_query.saved import shelf
from tests.support.saved import SavedDesk, open_saved_desk

REQUEST = {"event": {"names": ["page_view"]}, "interval": "week", "at_least": 2}


async def names(saved: SavedDesk, **arguments: Any) -> list[str]:
    page = await saved.call("ListSavedInsights", **arguments)
    return [insight["name"] for insight in page["insights"]]


async def test_what_is_saved_comes_back_as_it_was_sent(saved: SavedDesk) -> None:
    made = await saved.insight("Weekly readers", description="who\ncomes back", request=REQUEST)
    found = (await saved.call("GetSavedInsight", insight_id=made["insight_id"]))["insight"]

    assert found == made
    assert made["request"] == REQUEST
    assert (made["kind"], made["version"], made["description"]) == ("stickiness", 1, "who\ncomes back")
    assert (made["created_by"], made["updated_by"], made["deleted_at"]) == ("key-1", "key-1", 0)
    assert made["created_at"] == made["updated_at"] > 0
    assert uuid.UUID(made["insight_id"]).version == 7


async def test_a_change_is_a_new_version_and_the_earlier_ones_are_kept(saved: SavedDesk) -> None:
    made = await saved.insight("A", request=REQUEST)
    changed = await saved.call(
        "UpdateSavedInsight", insight_id=made["insight_id"], expected_version=1, name="B", kind="sessions"
    )
    versions = await saved.call("ListSavedInsightVersions", insight_id=made["insight_id"])
    first = await saved.call("GetSavedInsight", insight_id=made["insight_id"], version=1)

    assert changed["insight"]["version"] == 2
    # what is left out is empty then
    assert (changed["insight"]["kind"], changed["insight"]["request"]) == ("sessions", {})
    assert [(one["version"], one["name"], one["kind"]) for one in versions["versions"]] == [
        (2, "B", "sessions"),
        (1, "A", "stickiness"),
    ]
    assert first["insight"] == made
    assert await names(saved, kind="sessions") == ["B"]
    assert await names(saved, kind="stickiness") == []


async def test_who_changes_what_somebody_else_has_changed_is_told_the_newest_version(saved: SavedDesk) -> None:
    made = await saved.insight("A")
    update = {"insight_id": made["insight_id"], "name": "A", "kind": "stickiness"}
    await saved.call("UpdateSavedInsight", **update, expected_version=1)

    for call, arguments in (("UpdateSavedInsight", update), ("DeleteSavedInsight", {"insight_id": made["insight_id"]})):
        with pytest.raises(Aborted) as refused:
            await saved.call(call, **arguments, expected_version=1)
        assert (refused.value.reason, refused.value.field) == ("VERSION_CONFLICT", "expected_version")
        assert (refused.value.metadata, refused.value.http_status) == ({"version": "2"}, 409)
    with pytest.raises(InvalidArgument) as missing:
        await saved.call("UpdateSavedInsight", **update)
    assert missing.value.reason == "VERSION_REQUIRED"


def replica(saved: SavedDesk) -> SavedDesk:
    """The same tenant at another process."""
    return open_saved_desk(saved.servicer.insights.pool, SystemClock(), saved.tenant_id)


async def test_of_many_who_change_one_version_at_once_one_succeeds(saved: SavedDesk) -> None:
    made = await saved.insight("A")
    update = {"insight_id": made["insight_id"], "expected_version": 1, "kind": "stickiness"}
    answers = await asyncio.gather(
        *(replica(saved).call("UpdateSavedInsight", **update, name=f"by {number}") for number in range(5)),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, dict) for answer in answers) == 1
    assert sum(isinstance(answer, Aborted) for answer in answers) == 4


@pytest.mark.parametrize("same", ["weekly readers", " Weekly Readers ", "WEEKLY READERS", "Ｗeekly Readers"])
async def test_a_name_is_taken_whatever_its_case_until_it_is_deleted(saved: SavedDesk, same: str) -> None:
    made = await saved.insight("Weekly Readers")
    with pytest.raises(AlreadyExists) as refused:
        await saved.insight(same)
    assert (refused.value.reason, refused.value.field, refused.value.http_status) == ("NAME_TAKEN", "name", 409)
    assert refused.value.metadata == {"insight_id": made["insight_id"]}
    # its own name is no obstacle, and a dashboard's name is another
    await saved.call(
        "UpdateSavedInsight", insight_id=made["insight_id"], expected_version=1, name=same, kind="stickiness"
    )
    await saved.dashboard("Weekly Readers")
    await saved.call("DeleteSavedInsight", insight_id=made["insight_id"])
    await saved.insight(same)
    # and now the deleted one cannot come back
    with pytest.raises(AlreadyExists):
        await saved.call("RestoreSavedInsight", insight_id=made["insight_id"])


async def test_of_many_who_take_a_name_at_once_one_gets_it(saved: SavedDesk) -> None:
    answers = await asyncio.gather(*(replica(saved).insight("A") for _ in range(5)), return_exceptions=True)

    assert sum(isinstance(answer, dict) for answer in answers) == 1
    assert sum(isinstance(answer, AlreadyExists) for answer in answers) == 4


async def test_what_is_deleted_is_not_there_and_can_be_restored(saved: SavedDesk) -> None:
    made = await saved.insight("A", request=REQUEST)
    reference = {"insight_id": made["insight_id"]}
    gone = (await saved.call("DeleteSavedInsight", **reference))["insight"]

    assert (gone["deleted_by"], gone["deleted_at"] > 0) == ("key-1", True)
    assert await names(saved) == []
    assert await names(saved, state="deleted") == ["A"]
    for call in ("GetSavedInsight", "DeleteSavedInsight", "ListSavedInsightVersions"):
        with pytest.raises(NotFound):
            await saved.call(call, **reference)
    with pytest.raises(NotFound):
        await saved.call("UpdateSavedInsight", **reference, expected_version=1, name="A", kind="stickiness")

    assert (await saved.call("RestoreSavedInsight", **reference))["insight"] == made
    assert (await saved.call("RestoreSavedInsight", **reference))["insight"] == made
    assert await names(saved) == ["A"]


async def test_pages_hold_everything_once_in_the_order_asked_for(saved: SavedDesk) -> None:
    made = ["b", "A", "ä", "C", "a b"]
    for name in made:
        await saved.insight(name)
    for order, expected in (("name", ["A", "a b", "b", "C", "ä"]), ("newest", made[::-1])):
        found: list[str] = []
        token = ""
        while True:
            page = await saved.call("ListSavedInsights", order=order, page_size=2, page_token=token)
            found += [insight["name"] for insight in page["insights"]]
            token = page["next_page_token"]
            if not token:
                break
        assert found == expected


async def test_the_longest_names_are_saved_compared_and_paged(saved: SavedDesk) -> None:
    longest = [first + "\U0001f600" * 199 for first in ("a", "b")]
    for name in longest:
        await saved.insight(name)
    with pytest.raises(AlreadyExists):
        await saved.insight(longest[0].upper())
    page = await saved.call("ListSavedInsights", page_size=1)
    assert await names(saved, page_size=1, page_token=page["next_page_token"]) == longest[1:]


async def test_versions_come_in_pages_too(saved: SavedDesk) -> None:
    made = await saved.insight("A")
    reference = {"insight_id": made["insight_id"]}
    for version in range(1, 5):
        await saved.call(
            "UpdateSavedInsight", **reference, expected_version=version, name=f"A{version}", kind="stickiness"
        )
    first = await saved.call("ListSavedInsightVersions", **reference, page_size=3)
    second = await saved.call("ListSavedInsightVersions", **reference, page_size=3, page_token=first["next_page_token"])

    assert [one["version"] for page in (first, second) for one in page["versions"]] == [5, 4, 3, 2, 1]
    assert second["next_page_token"] == ""


async def test_line_44_another_tenants_things_are_not_there(saved: SavedDesk) -> None:
    made = await saved.insight("A")
    other = saved.of(str(uuid.uuid4()))
    reference = {"insight_id": made["insight_id"]}
    for call, arguments in (
        ("GetSavedInsight", {}),
        ("DeleteSavedInsight", {}),
        ("RestoreSavedInsight", {}),
        ("ListSavedInsightVersions", {}),
        ("UpdateSavedInsight", {"expected_version": 1, "name": "A", "kind": "stickiness"}),
    ):
        with pytest.raises(NotFound) as refused:
            await other.call(call, **reference, **arguments)
        assert refused.value.reason == "INSIGHT_NOT_FOUND"
    assert await names(other) == []
    # nor does its name take the name, and its page token is good for nothing here
    await other.insight("A")
    await saved.insight("B")
    token = (await saved.call("ListSavedInsights", page_size=1))["next_page_token"]
    with pytest.raises(InvalidArgument):
        await other.call("ListSavedInsights", page_size=1, page_token=token)


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"request": {"at_least": -1}}, "OUT_OF_RANGE", "request.at_least"),
        ({"request": {"interval": "fortnight"}}, "UNKNOWN_INTERVAL", "request.interval"),
        ({"request": {"shoe": 1}}, "UNKNOWN_FIELD", "request.shoe"),
        ({"request": {"at_least": "2"}}, "BAD_FIELD", "request.at_least"),
        ({"request": {"filter": {"any": [{"field": "x"}]}}}, "UNKNOWN_FIELD", "request.filter.any[0].field"),
        ({"request": {"event": {"names": [""]}}}, "BAD_EVENT_NAME", "request.event.names[0]"),
        (
            {"request": {"event": {"names": [f"{'x' * 190}{number}" for number in range(100)],
             "filter": {"field": "user_id", "op": "eq", "values": ["y" * 190] * 300}}}},
            "DEFINITION_TOO_LARGE",
            "request",
        ),
        ({"kind": ""}, "UNKNOWN_KIND", "kind"),
        ({"kind": "horoscope"}, "UNKNOWN_KIND", "kind"),
        ({"name": " "}, "BAD_NAME", "name"),
        ({"name": "x" * 201}, "BAD_NAME", "name"),
        ({"name": "\ufdfa" * 200}, "BAD_NAME", "name"),
        ({"name": "a\0b"}, "BAD_NAME", "name"),
        ({"name": "a\nb"}, "BAD_NAME", "name"),
        ({"description": "x" * 2001}, "BAD_DESCRIPTION", "description"),
        ({"description": "a\0b"}, "BAD_DESCRIPTION", "description"),
    ],
)  # fmt: skip
async def test_mistakes_are_named_and_nothing_is_saved(
    saved: SavedDesk, fields: dict[str, Any], reason: str, field: str
) -> None:
    made = await saved.insight("A")
    update = {"insight_id": made["insight_id"], "expected_version": 1, "name": "B", "kind": "stickiness"}
    for method, body in (
        ("CreateSavedInsight", {"name": "B", "kind": "stickiness", **fields}),
        ("UpdateSavedInsight", {**update, **fields}),
    ):
        with pytest.raises(DomainError) as refused:
            await saved.call(method, **body)
        assert (refused.value.reason, refused.value.field, refused.value.http_status) == (reason, field, 400)
    assert (await saved.call("ListSavedInsights"))["insights"] == [made]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"state": "lost"}, "UNKNOWN_CHOICE"),
        ({"order": "size"}, "UNKNOWN_CHOICE"),
        ({"kind": "horoscope"}, "UNKNOWN_KIND"),
        ({"page_size": -1}, "BAD_PAGE_SIZE"),
        ({"page_token": "x"}, "BAD_PAGE_TOKEN"),
    ],
)
async def test_line_39_mistakes_of_lists_are_named(saved: SavedDesk, arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await saved.call("ListSavedInsights", **arguments)
    assert refused.value.reason == reason


async def test_a_nul_inside_a_request_is_kept(saved: SavedDesk) -> None:
    request = {"filter": {"field": "properties.a", "op": "eq", "values": ["x\0y", "\\u0000", "ß"]}}
    assert (await saved.insight("A", request=request))["request"] == request


async def test_a_tenant_has_so_many_and_deleted_ones_do_not_count(pool: Pool) -> None:
    saved = open_saved_desk(pool, SystemClock(), str(uuid.uuid4()), insights=2)
    first = await saved.insight("A")
    await saved.insight("B")
    with pytest.raises(FailedPrecondition) as refused:
        await saved.insight("C")
    assert (refused.value.reason, refused.value.metadata) == ("TOO_MANY_INSIGHTS", {"limit": "2"})
    await saved.of(str(uuid.uuid4())).insight("another tenant's")

    await saved.call("DeleteSavedInsight", insight_id=first["insight_id"])
    await saved.insight("C")
    with pytest.raises(FailedPrecondition):
        await saved.call("RestoreSavedInsight", insight_id=first["insight_id"])


async def test_the_oldest_versions_and_the_longest_deleted_go_for_good(
    saved: SavedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "KEPT_VERSIONS", 3)
    monkeypatch.setattr(shelf, "KEPT_DELETED", 2)
    made = [await saved.insight(name) for name in "ABC"]
    reference = {"insight_id": made[0]["insight_id"]}
    for version in range(1, 5):
        await saved.call("UpdateSavedInsight", **reference, expected_version=version, name="A", kind="stickiness")
    kept = await saved.call("ListSavedInsightVersions", **reference)
    for insight in made:
        await saved.call("DeleteSavedInsight", insight_id=insight["insight_id"])

    assert [one["version"] for one in kept["versions"]] == [5, 4, 3]
    assert await names(saved, state="deleted") == ["B", "C"]
    with pytest.raises(NotFound):
        await saved.call("RestoreSavedInsight", **reference)


async def test_a_version_that_is_not_there_is_not_found(saved: SavedDesk) -> None:
    made = await saved.insight("A")
    for version, reason in ((2, "VERSION_NOT_FOUND"), (-1, "BAD_VERSION")):
        with pytest.raises(DomainError) as refused:
            await saved.call("GetSavedInsight", insight_id=made["insight_id"], version=version)
        assert refused.value.reason == reason
    for insight_id in ("x", "", str(uuid.uuid4())):
        with pytest.raises(NotFound):
            await saved.call("GetSavedInsight", insight_id=insight_id)
