"""Saved dashboards: tiles on a grid, the insights they show, and what becomes of one without the other."""

import asyncio
import uuid
from typing import Any

import pytest

from obc_common.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.support.saved import SavedDesk, tile


async def test_a_dashboard_comes_back_with_the_insights_of_its_tiles(saved: SavedDesk) -> None:
    one, two = await saved.insight("One"), await saved.insight("Two", kind="sessions")
    tiles = [
        tile(0, title="Welcome", text="to *the* board", width=6, height=2),
        tile(0, insight_id=two["insight_id"], x=6, width=6, height=2),
        tile(2, insight_id=one["insight_id"], title="Again"),
        tile(3, insight_id=two["insight_id"]),
    ]
    time_range = {"last_hours": 48, "timezone": "Europe/Berlin"}
    made = await saved.dashboard("Board", tiles=tiles, time_range=time_range)
    found = await saved.call("GetSavedDashboard", dashboard_id=made["dashboard_id"])

    empty = {"insight_id": "", "title": "", "text": ""}
    assert found["dashboard"] == made
    assert made["tiles"] == [{**empty, **one_tile} for one_tile in tiles]
    assert made["time_range"] == {"from": "", "to": "", **time_range}
    assert found["insights"] == [two, one]


async def test_versions_of_a_dashboard_are_kept_and_show_their_own_tiles(saved: SavedDesk) -> None:
    insight = await saved.insight("One")
    made = await saved.dashboard("Board", insight["insight_id"], time_range={"from": "1000", "to": "2000"})
    reference = {"dashboard_id": made["dashboard_id"]}
    await saved.call("UpdateSavedDashboard", **reference, expected_version=1, name="Board")
    newest = await saved.call("GetSavedDashboard", **reference)
    first = await saved.call("GetSavedDashboard", **reference, version=1)
    versions = await saved.call("ListSavedDashboardVersions", **reference)

    assert (newest["dashboard"]["tiles"], newest["insights"], newest["dashboard"]["version"]) == ([], [], 2)
    assert "time_range" not in newest["dashboard"]
    assert (first["dashboard"], first["insights"]) == (made, [])
    assert versions["versions"] == [newest["dashboard"], made]


async def test_an_insight_that_a_dashboard_shows_cannot_be_deleted(saved: SavedDesk) -> None:
    insight = await saved.insight("One")
    board = await saved.dashboard("Board", insight["insight_id"], insight["insight_id"])
    reference = {"insight_id": insight["insight_id"]}
    with pytest.raises(FailedPrecondition) as refused:
        await saved.call("DeleteSavedInsight", **reference)
    assert (refused.value.reason, refused.value.http_status) == ("INSIGHT_IN_USE", 409)
    assert refused.value.metadata == {"dashboards": board["dashboard_id"]}

    # a dashboard that shows it no more, or is deleted itself, is no obstacle
    await saved.call("DeleteSavedDashboard", dashboard_id=board["dashboard_id"])
    await saved.call("DeleteSavedInsight", **reference)
    # but then the dashboard cannot come back without it
    with pytest.raises(FailedPrecondition) as alone:
        await saved.call("RestoreSavedDashboard", dashboard_id=board["dashboard_id"])
    assert (alone.value.reason, alone.value.http_status) == ("INSIGHT_DELETED", 409)
    assert alone.value.metadata == {"insights": insight["insight_id"]}
    await saved.call("RestoreSavedInsight", **reference)
    assert (await saved.call("RestoreSavedDashboard", dashboard_id=board["dashboard_id"]))["dashboard"] == board


async def test_an_insight_deleted_while_it_is_put_on_a_dashboard_is_never_a_hole(saved: SavedDesk) -> None:
    for number in range(3):
        insight = await saved.insight(f"I{number}")
        answers = await asyncio.gather(
            saved.dashboard(f"B{number}", insight["insight_id"]),
            saved.call("DeleteSavedInsight", insight_id=insight["insight_id"]),
            return_exceptions=True,
        )
        assert [type(answer) is dict for answer in answers].count(True) == 1


async def test_an_insight_of_another_tenant_a_deleted_one_and_none_at_all_cannot_be_shown(saved: SavedDesk) -> None:
    foreign = await saved.of(str(uuid.uuid4())).insight("One")
    deleted = await saved.insight("Two")
    await saved.call("DeleteSavedInsight", insight_id=deleted["insight_id"])
    board = await saved.dashboard("A dashboard is no insight")
    for insight_id in (foreign["insight_id"], deleted["insight_id"], board["dashboard_id"], str(uuid.uuid4()), "x"):
        with pytest.raises(InvalidArgument) as refused:
            await saved.dashboard("Board", tiles=[tile(0, text="x"), tile(1, insight_id=insight_id)])
        assert (refused.value.reason, refused.value.field) == ("UNKNOWN_INSIGHT", "tiles[1].insight_id")


async def test_line_44_another_tenants_dashboard_is_not_there(saved: SavedDesk) -> None:
    board = await saved.dashboard("Board")
    other = saved.of(str(uuid.uuid4()))
    for call, arguments in (
        ("GetSavedDashboard", {}),
        ("DeleteSavedDashboard", {}),
        ("RestoreSavedDashboard", {}),
        ("ListSavedDashboardVersions", {}),
        ("UpdateSavedDashboard", {"expected_version": 1, "name": "A"}),
    ):
        with pytest.raises(NotFound) as refused:
            await other.call(call, dashboard_id=board["dashboard_id"], **arguments)
        assert refused.value.reason == "DASHBOARD_NOT_FOUND"
    # an insight's path does not reach a dashboard
    with pytest.raises(NotFound):
        await saved.call("DeleteSavedInsight", insight_id=board["dashboard_id"])


async def test_dashboards_have_a_limit_of_their_own(saved: SavedDesk) -> None:
    for number in range(3):
        await saved.dashboard(f"B{number}")
    with pytest.raises(FailedPrecondition) as refused:
        await saved.dashboard("one more")
    assert refused.value.reason == "TOO_MANY_DASHBOARDS"
    page = await saved.call("ListSavedDashboards", order="newest", page_size=2)
    assert [board["name"] for board in page["dashboards"]] == ["B2", "B1"]
    assert page["next_page_token"]


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"tiles": [tile(0)]}, "BAD_TILE", "tiles[0]"),
        ({"tiles": [tile(0, insight_id=str(uuid.uuid4()), text="x")]}, "BAD_TILE", "tiles[0].text"),
        ({"tiles": [tile(0, text="x", x=12)]}, "OUT_OF_RANGE", "tiles[0].x"),
        ({"tiles": [tile(0, text="x", x=-1)]}, "OUT_OF_RANGE", "tiles[0].x"),
        ({"tiles": [tile(1000, text="x")]}, "OUT_OF_RANGE", "tiles[0].y"),
        ({"tiles": [tile(0, text="x", x=1)]}, "OUT_OF_RANGE", "tiles[0].width"),
        ({"tiles": [tile(0, text="x", width=0)]}, "OUT_OF_RANGE", "tiles[0].width"),
        ({"tiles": [tile(0, text="x", height=101)]}, "OUT_OF_RANGE", "tiles[0].height"),
        ({"tiles": [tile(0, text="x", height=2), tile(1, text="y", x=11, width=1)]}, "TILES_OVERLAP", "tiles[1]"),
        ({"tiles": [tile(0, text="x" * 5001)]}, "BAD_TEXT", "tiles[0].text"),
        ({"tiles": [tile(0, title="x\ny")]}, "BAD_TITLE", "tiles[0].title"),
        ({"tiles": [tile(row, text="x") for row in range(51)]}, "TOO_MANY_TILES", "tiles"),
        ({"tiles": [tile(row, text="x" * 5000) for row in range(14)]}, "DEFINITION_TOO_LARGE", "tiles"),
        ({"time_range": {"last_hours": -1}}, "OUT_OF_RANGE", "time_range.last_hours"),
        ({"time_range": {"last_hours": 87_601}}, "OUT_OF_RANGE", "time_range.last_hours"),
        ({"time_range": {"last_hours": 1, "to": "2000"}}, "BAD_RANGE", "time_range.last_hours"),
        ({"time_range": {"from": "2000", "to": "1000"}}, "BAD_RANGE", "time_range.to"),
        ({"time_range": {"from": "soon"}}, "BAD_TIME", "time_range.from"),
        ({"time_range": {"timezone": "Foo/Bar"}}, "BAD_TIMEZONE", "time_range.timezone"),
        ({"name": ""}, "BAD_NAME", "name"),
    ],
)
async def test_mistakes_are_named(saved: SavedDesk, fields: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await saved.call("CreateSavedDashboard", **{"name": "Board", **fields})
    assert (refused.value.reason, refused.value.field) == (reason, field)


async def test_fifty_tiles_side_by_side_fit(saved: SavedDesk) -> None:
    tiles = [tile(number // 12, text="x", x=number % 12, width=1) for number in range(50)]
    assert len((await saved.dashboard("Board", tiles=tiles))["tiles"]) == 50
