"""Cohorts in PostgreSQL: made, changed, found, deleted, restored, and named by saved insights."""

import uuid
from typing import Any

import pytest

from obc_common.errors import Aborted, AlreadyExists, DomainError, FailedPrecondition, InvalidArgument, NotFound
from tests.support.saved import SavedDesk

DEFINITION: dict[str, Any] = {
    "all": [
        {
            "performed": {
                "event": {"names": ["buy"], "filter": {"field": "properties.n", "op": "eq", "values": [5, "5", True]}},
                "op": "at_most",
                "count": 0,
                "window": {"from": "1748736000000"},
            }
        },
        {"static": {"person_ids": ["ann", "Bob", "\u0000ü"]}},
    ]
}


async def cohort(saved: SavedDesk, name: str, definition: dict[str, Any] | None = None) -> dict[str, Any]:
    made = await saved.call("CreateCohort", name=name, definition=definition or {"performed": {}})
    found: dict[str, Any] = made["cohort"]
    return found


async def test_what_is_saved_comes_back_and_lists_leave_definitions_out(saved: SavedDesk) -> None:
    made = await cohort(saved, "Buyers", DEFINITION)
    found = (await saved.call("GetCohort", cohort_id=made["cohort_id"]))["cohort"]
    [listed] = (await saved.call("ListCohorts"))["cohorts"]

    assert found == made
    performed, static = made["definition"]["all"]
    assert performed["performed"]["count"] == 0
    assert performed["performed"]["window"]["from"] == "1748736000000"
    assert performed["performed"]["event"]["filter"]["values"] == [5, "5", True]
    assert static["static"] == DEFINITION["all"][1]["static"]
    assert listed == {key: value for key, value in made.items() if key != "definition"}
    assert made["created_by"] == "key-1"


async def test_a_change_is_a_new_version_and_the_earlier_ones_are_kept(saved: SavedDesk) -> None:
    made = await cohort(saved, "A", DEFINITION)
    cohort_id = made["cohort_id"]
    changed = await saved.call(
        "UpdateCohort", cohort_id=cohort_id, expected_version=1, name="B", definition={"performed": {}}
    )
    versions = (await saved.call("ListCohortVersions", cohort_id=cohort_id))["versions"]

    assert changed["cohort"]["version"] == 2
    assert [(one["version"], one["name"]) for one in versions] == [(2, "B"), (1, "A")]
    assert (await saved.call("GetCohort", cohort_id=cohort_id, version=1))["cohort"] == made
    with pytest.raises(Aborted) as late:
        await saved.call("UpdateCohort", cohort_id=cohort_id, expected_version=1, name="C", definition=DEFINITION)
    assert late.value.reason == "VERSION_CONFLICT"


async def test_a_deleted_cohort_is_gone_and_can_be_restored(saved: SavedDesk) -> None:
    made = await cohort(saved, "A")
    cohort_id = made["cohort_id"]
    deleted = (await saved.call("DeleteCohort", cohort_id=cohort_id))["cohort"]

    assert deleted["deleted_by"] == "key-1"
    assert (await saved.call("ListCohorts"))["cohorts"] == []
    assert len((await saved.call("ListCohorts", state="deleted"))["cohorts"]) == 1
    with pytest.raises(NotFound) as gone:
        await saved.call("GetCohort", cohort_id=cohort_id)
    assert gone.value.reason == "COHORT_NOT_FOUND"
    assert (await saved.call("RestoreCohort", cohort_id=cohort_id))["cohort"] == made


async def test_names_and_numbers_are_limited(saved: SavedDesk) -> None:
    await cohort(saved, "A")
    with pytest.raises(AlreadyExists):
        await cohort(saved, "a")
    await saved.insight("A")  # a name of another type is another name
    await cohort(saved, "B")
    await cohort(saved, "C")
    with pytest.raises(FailedPrecondition) as full:
        await cohort(saved, "D")
    assert full.value.reason == "TOO_MANY_COHORTS"


async def test_pages(saved: SavedDesk) -> None:
    for name in "CAB":
        await cohort(saved, name)
    first = await saved.call("ListCohorts", page_size=2)
    second = await saved.call("ListCohorts", page_size=2, page_token=first["next_page_token"])
    assert [one["name"] for one in first["cohorts"] + second["cohorts"]] == ["A", "B", "C"]
    assert second["next_page_token"] == ""
    with pytest.raises(InvalidArgument) as bound:
        await saved.call("ListSavedInsights", page_token=first["next_page_token"])
    assert bound.value.reason == "BAD_PAGE_TOKEN"


async def test_ten_thousand_people_can_be_saved_and_more_bytes_cannot(saved: SavedDesk) -> None:
    made = await cohort(saved, "Many", {"static": {"person_ids": [str(uuid.uuid4()) for _ in range(10_000)]}})
    assert len(made["definition"]["static"]["person_ids"]) == 10_000
    with pytest.raises(InvalidArgument) as large:
        await cohort(saved, "Large", {"static": {"person_ids": [f"{n:0200}" for n in range(10_000)]}})
    assert (large.value.reason, large.value.field) == ("DEFINITION_TOO_LARGE", "definition")


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({"name": ""}, "BAD_NAME", "name"),
        ({"definition": {}}, "BAD_COHORT", "definition"),
        ({"definition": {"any": [{"performed": {"op": "x"}}]}}, "UNKNOWN_CHOICE", "definition.any[0].performed.op"),
    ],
)
async def test_bad_cohorts_name_the_field(saved: SavedDesk, body: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await saved.call("CreateCohort", **{"name": "A", "definition": {"performed": {}}, **body})
    assert (refused.value.reason, refused.value.field) == (reason, field)


async def test_an_insight_that_names_a_cohort_can_be_saved_while_there_is_one(saved: SavedDesk) -> None:
    cohort_id = (await cohort(saved, "A"))["cohort_id"]
    request = {"filter": {"any": [{"cohort": cohort_id}]}, "breakdown": f"cohort:{cohort_id}"}
    made = await saved.insight("Of a cohort", kind="sessions", request=request)
    assert made["request"] == request

    await saved.call("DeleteCohort", cohort_id=cohort_id)
    for name, asked, field in (
        ("deleted", request, "request.filter.any[0].cohort"),
        ("never was", {"breakdown": f"cohort:{uuid.uuid4()}"}, "request.breakdown"),
    ):
        with pytest.raises(InvalidArgument) as refused:
            await saved.insight(name, kind="sessions", request=asked)
        assert (refused.value.reason, refused.value.field) == ("UNKNOWN_COHORT", field)


async def test_line_44_another_tenants_cohort_is_not_there(saved: SavedDesk) -> None:
    cohort_id = (await cohort(saved, "A"))["cohort_id"]
    other = saved.of(str(uuid.uuid4()))
    for method, arguments in (
        ("GetCohort", {}),
        ("UpdateCohort", {"expected_version": 1, "name": "B", "definition": {"performed": {}}}),
        ("DeleteCohort", {}),
        ("RestoreCohort", {}),
        ("ListCohortVersions", {}),
    ):
        with pytest.raises(NotFound) as refused:
            await other.call(method, cohort_id=cohort_id, **arguments)
        assert refused.value.reason == "COHORT_NOT_FOUND"
    with pytest.raises(DomainError) as unknown:
        await other.insight("Of another's", kind="sessions", request={"filter": {"cohort": cohort_id}})
    assert unknown.value.reason == "UNKNOWN_COHORT"
