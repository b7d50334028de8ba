"""Funnels, retention and paths of a real shop, through the REST API, against computations with pandas."""

from itertools import pairwise
from typing import Any

import pandas as pd
import pytest

from obc_dev.api import Api
from tests.support.product import Product, Tenant
from tests.support.shop import RANGE, event_id, open_shop, read_shop

STEPS = ["home", "product_view", "add_to_cart", "purchase"]
WINDOW = pd.Timedelta(days=1)
WEEKS = 8
PAGES = ["home", "catalog", "search", "product_view", "cart", "add_to_cart", "purchase"]
MOST_STEPS = 5


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    """The file: who, which session (cut where 30 minutes pass), what, when; in the order of time, then of ids."""
    rows = read_shop()
    frame = pd.DataFrame(rows)
    frame["time"] = pd.to_datetime(frame["timestamp"]).astype("datetime64[ms]")
    frame["id"] = [event_id(number).hex for number in range(len(rows))]
    frame = frame.sort_values(["session_id", "time"], kind="stable")
    cut = frame.groupby("session_id")["time"].diff() >= pd.Timedelta(minutes=30)
    frame["session"] = frame["session_id"] + "/" + cut.groupby(frame["session_id"]).cumsum().astype(str)
    return frame.sort_values(["time", "id"])[["user_id", "session", "event", "time", "id"]].reset_index(drop=True)


@pytest.fixture(scope="module")
async def shop(product: Product) -> Tenant:
    return await open_shop(product, read_shop())


async def ask(product: Product, shop: Tenant, insight: str, body: dict[str, Any]) -> dict[str, Any]:
    async with Api(product.url, shop.secret_key) as api:
        answer: dict[str, Any] = await api.post(f"/v1/insights/{insight}", {**RANGE, **body})
    return answer


def reached(events: pd.DataFrame, who: str) -> pd.DataFrame:
    """For every entry, when each step is taken at the earliest; NaT from the first one on that is not."""
    ways = events.loc[events["event"] == STEPS[0], [who, "time"]].rename(columns={"time": STEPS[0]})
    ways["at"] = ways[STEPS[0]]
    for step in STEPS[1:]:
        later = events.loc[events["event"] == step, [who, "time"]].rename(columns={"time": step})
        going, stopped = ways[ways["at"].notna()], ways[ways["at"].isna()]
        # A step may have the moment of the one before it: then the order of the steps counts.
        found = pd.merge_asof(going.sort_values("at"), later, left_on="at", right_on=step, by=who, direction="forward")
        found[step] = found[step].where(found[step] - found[STEPS[0]] <= WINDOW)
        ways = pd.concat([found, stopped])
        ways["at"] = ways[step]
    return ways


@pytest.mark.parametrize(("counting", "who"), [("users", "user_id"), ("sessions", "session")])
async def test_a_funnel_has_the_people_and_the_times_of_pandas(
    product: Product, shop: Tenant, events: pd.DataFrame, counting: str, who: str
) -> None:
    ways = reached(events, who)
    ways["taken"] = ways[STEPS].notna().sum(axis=1)
    best = ways.sort_values(["taken", STEPS[0]], ascending=[False, True]).groupby(who).head(1)
    counts = [int((best["taken"] > number).sum()) for number in range(len(STEPS))]
    medians = [(best[step] - best[before]).dt.total_seconds().median() * 1000 for before, step in pairwise(STEPS)]

    window_ms = round(WINDOW.total_seconds() * 1000)
    body = {"steps": [{"names": [name]} for name in STEPS], "counting": counting, "window_ms": window_ms}
    [group] = (await ask(product, shop, "funnels", body))["groups"]

    assert counts[-1] > 50
    assert [step["count"] for step in group["steps"]] == counts
    assert [step["median_ms"] for step in group["steps"][1:]] == pytest.approx(medians)


@pytest.mark.parametrize("mode", ["first_time", "recurring"])
async def test_retention_has_the_cells_of_pandas(
    product: Product, shop: Tenant, events: pd.DataFrame, mode: str
) -> None:
    week = events["time"].dt.to_period("W-SUN").dt.start_time
    starts = events[events["event"] == "home"].assign(cohort=week)
    starts = starts.groupby("user_id" if mode == "first_time" else ["user_id", "cohort"]).head(1)
    returns = events[events["event"] == "purchase"].assign(back=week)
    pairs = starts.merge(returns, on="user_id", suffixes=("", "_back"))
    same_moment = (pairs["time_back"] == pairs["time"]) & (pairs["id_back"] > pairs["id"])
    pairs = pairs[(pairs["time_back"] > pairs["time"]) | same_moment]
    pairs["period"] = (pairs["back"] - pairs["cohort"]).dt.days // 7
    cells = pairs.groupby(["cohort", "period"])["user_id"].nunique().to_dict()
    sizes = starts.groupby("cohort")["user_id"].nunique().to_dict()

    body = {
        "start_event": {"names": ["home"]},
        "return_event": {"names": ["purchase"]},
        "interval": "week",
        "mode": mode,
        "periods": WEEKS,
    }
    [group] = (await ask(product, shop, "retention", body))["groups"]

    assert len(cells) > 50
    for cohort in group["cohorts"]:
        start = pd.Timestamp(cohort["start"], unit="ms")
        assert cohort["size"] == sizes.get(start, 0)
        told = {cell["period"]: cell["count"] for cell in cohort["cells"]}
        assert told == {period: cells.get((start, period), 0) for period in range(WEEKS + 1)}
    assert {pd.Timestamp(cohort["start"], unit="ms") for cohort in group["cohorts"]} >= set(sizes)


async def test_paths_have_the_nodes_and_edges_of_pandas(product: Product, shop: Tenant, events: pd.DataFrame) -> None:
    steps = events[events["event"].isin(PAGES)].copy()
    by_session = steps.groupby("session")
    steps["step"] = by_session.cumcount()
    steps["next"], steps["next_time"] = by_session["event"].shift(-1), by_session["time"].shift(-1)
    told = steps[steps["step"] < MOST_STEPS]
    nodes = told.groupby(["step", "event"]).size().to_dict()
    ended = told[told["next"].isna()].groupby(["step", "event"]).size().to_dict()
    edges = told[told["next"].notna() & (told["step"] < MOST_STEPS - 1)]
    taken = edges.groupby(["step", "event", "next"]).size().to_dict()
    waits = (edges["next_time"] - edges["time"]).dt.total_seconds() * 1000
    medians = waits.groupby([edges["step"], edges["event"], edges["next"]]).median().to_dict()

    body = {"steps": {"names": PAGES}, "max_steps": MOST_STEPS, "edges_per_step": 100}
    answer = await ask(product, shop, "paths", body)

    assert len(taken) > 50
    assert answer["paths"] == steps["session"].nunique()
    assert {(node["step"], node["name"]): node["count"] for node in answer["nodes"]} == nodes
    told_ends = {(node["step"], node["name"]): node["drop_offs"] for node in answer["nodes"] if node["drop_offs"]}
    assert told_ends == ended
    found = {(edge["step"], edge["source"], edge["target"]): edge for edge in answer["edges"]}
    assert {key: edge["count"] for key, edge in found.items()} == taken
    assert {key: edge["median_ms"] for key, edge in found.items()} == pytest.approx(medians)
