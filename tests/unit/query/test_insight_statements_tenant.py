"""No statement of an insight or a cohort leaves without its tenant."""

import uuid
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from obc.query.v1 import (
    activity_pb2,
    cohort_pb2,
    funnels_pb2,
    paths_pb2,
    retention_pb2,
    trends_pb2,
)
from obc_query.cohorts import preview
from obc_query.cohorts.people import cohort_conditions
from obc_query.cohorts.reading import read_definition
from obc_query.insights.breakdown import TopValues
from obc_query.insights.funnels import FUNNELS
from obc_query.insights.funnels.events import meets_steps
from obc_query.insights.funnels.statements import funnel_statement
from obc_query.insights.lifecycle import LIFECYCLE
from obc_query.insights.lifecycle.statements import relevant_events, states_statement
from obc_query.insights.paths import PATHS
from obc_query.insights.paths import statements as paths
from obc_query.insights.paths.elements import Numbers, Tuples
from obc_query.insights.retention import RETENTION
from obc_query.insights.retention import statements as retention
from obc_query.insights.retention.question import CRITERIA, MODES, RULES
from obc_query.insights.retention.quick import quick_statement
from obc_query.insights.sessions import SESSIONS
from obc_query.insights.sessions import statements as sessions
from obc_query.insights.stickiness import STICKINESS
from obc_query.insights.stickiness.answer import statement as stickiness_statement
from obc_query.insights.trends import TRENDS
from obc_query.insights.trends.answer import top_statement
from obc_query.insights.trends.one_pass import fits_one_pass, one_pass
from obc_query.insights.trends.question import MEASURES, PROPERTY_MEASURES
from obc_query.insights.trends.statements import plans
from obc_query.statement import Binder, Select, Statement
from tests.support.tenant_statements import SPAN, TENANT, assert_tenant, hostile


@given(st.lists(hostile, max_size=3), st.lists(hostile, min_size=1, max_size=3), st.booleans())
def test_every_insight_carries_the_tenant_whatever_it_selects(names: list[str], keys: list[str], sampled: bool) -> None:
    event = {
        "names": names,
        "filter": {"none": [{"field": f"properties.{key}", "op": "eq", "values": [key]} for key in keys]},
    }
    asked = json_format.ParseDict({"event": event, "filter": event["filter"]}, activity_pb2.QueryStickinessRequest())
    question = STICKINESS.read(asked, SPAN.end_ms)
    assert_tenant(stickiness_statement(TENANT, question, sampled=sampled))
    report = SESSIONS.read(
        json_format.ParseDict(
            {"filter": event["filter"], "breakdown": f"properties.{keys[0]}"}, activity_pb2.QuerySessionsRequest()
        ),
        SPAN.end_ms,
    )
    assert report.breakdown is not None
    for statement in (
        sessions.top_values(TENANT, report, report.breakdown, sampled=sampled),
        sessions.numbers(TENANT, report, names, sampled=sampled),
        sessions.pages(TENANT, report, sampled=sampled),
    ):
        assert_tenant(statement)


@given(st.lists(hostile, max_size=2), hostile, st.booleans(), st.booleans(), st.booleans())
def test_every_statement_of_trends_carries_the_tenant(
    values: list[str], key: str, sampled: bool, cumulative: bool, compared: bool
) -> None:
    field = f"properties.{key}"
    event = {"names": [key], "filter": {"field": field, "op": "neq", "values": [key]}}
    for measure in MEASURES:
        series = {"event": event, "measure": measure, "property": field if measure in PROPERTY_MEASURES else ""}
        asked = json_format.ParseDict(
            {
                "series": [series, {"event": event, "measure": "sessions"}],
                "filter": event["filter"],
                "breakdowns": [field, "event_name"],
                "cumulative": cumulative,
                "compare_previous": compared,
            },
            trends_pb2.QueryTrendsRequest(),
        )
        question = TRENDS.read(asked, SPAN.end_ms)
        assert_tenant(top_statement(TENANT, question, sampled=sampled))
        alone = replace(question, series=question.series[:1], previous=None, cumulative=False)
        if fits_one_pass(alone):
            assert_tenant(one_pass(TENANT, alone).statement)
        for top in (None, TopValues(question.breakdowns, tuple((value, key) for value in values), True)):
            for period in question.periods:
                for plan in plans(TENANT, question, period, top, sampled=sampled):
                    assert_tenant(plan.statement)


@given(
    st.lists(hostile, max_size=3),
    hostile,
    st.sampled_from(MODES),
    st.sampled_from(RULES),
    st.sampled_from(CRITERIA),
    st.booleans(),
)
def test_every_statement_of_retention_carries_the_tenant(
    names: list[str], key: str, mode: str, rule: str, criteria: str, sampled: bool
) -> None:
    chosen = {"field": f"properties.{key}", "op": "neq", "values": [key]}
    body = {
        "start_event": {"names": names},
        "return_event": {"filter": chosen},
        "filter": chosen,
        "breakdown": f"properties.{key}",
        "mode": mode,
        "buckets": rule,
        "criteria": criteria,
        "timezone": "Asia/Kathmandu",
    }
    asked = json_format.ParseDict(body, retention_pb2.QueryRetentionRequest())
    question = RETENTION.read(asked, SPAN.end_ms)
    binder = Binder()
    for statement in (
        quick_statement(TENANT, question),
        retention.cells_statement(TENANT, question, sampled=sampled, limit=10),
        retention.cells_statement(TENANT, question, sampled=sampled, top=[key]),
        retention.top_values_statement(TENANT, question, sampled=sampled),
        Statement(TENANT, "sampled", Select(["1"], retention.relevant_events(question, binder)), binder),
    ):
        assert_tenant(statement)


@given(st.lists(hostile, max_size=3), hostile, st.booleans())
def test_every_statement_of_the_lifecycle_carries_the_tenant(names: list[str], key: str, sampled: bool) -> None:
    chosen = {"field": f"properties.{key}", "op": "neq", "values": [key]}
    body = {"event": {"names": names, "filter": chosen}, "filter": chosen, "timezone": "Europe/Berlin"}
    question = LIFECYCLE.read(json_format.ParseDict(body, activity_pb2.QueryLifecycleRequest()), SPAN.end_ms)
    binder = Binder()
    for statement in (
        states_statement(TENANT, question, sampled=sampled),
        Statement(TENANT, "sampled", Select(["1"], relevant_events(question, binder)), binder),
    ):
        assert_tenant(statement)


_FIELD_OPERATORS = st.sampled_from(["eq", "neq", "exists", "not_exists", "gt", "contains"])


@st.composite
def cohort_definitions(draw: st.DrawFn, depth: int = 2) -> dict[str, Any]:
    text, op = draw(hostile), draw(_FIELD_OPERATORS)
    compared = {"field": f"properties.{text}", "op": op, "values": [] if "exists" in op else [text]}
    event = {"names": [text], "filter": compared}
    window = draw(st.sampled_from([{}, {"last_days": 7}, {"from_time": "5"}, {"from_time": "5", "to_time": "10"}]))
    kinds = ["performed", "property", "sequence", "static", *(["all", "any", "none"] if depth else [])]
    match kind := draw(st.sampled_from(kinds)):
        case "performed":
            compare = draw(st.sampled_from(["at_least", "exactly", "at_most"]))
            return {kind: {"event": event, "op": compare, "count": draw(st.integers(0, 2)), "window": window}}
        case "property":
            return {kind: compared}
        case "sequence":
            return {kind: {"events": [event, {}, event], "window": window}}
        case "static":
            return {kind: {"person_ids": [text, "person", "\0"]}}
    return {kind: draw(st.lists(cohort_definitions(depth=depth - 1), min_size=1, max_size=3))}


@given(cohort_definitions(), cohort_definitions(), st.booleans())
def test_every_cohort_carries_the_tenant_wherever_it_is_named(
    one: dict[str, Any], other: dict[str, Any], sampled: bool
) -> None:
    ids = [uuid.UUID(int=number) for number in (1, 2)]
    messages = [json_format.ParseDict(body, cohort_pb2.CohortDefinition()) for body in (one, other)]
    read = [read_definition(message, "definition") for message in messages]
    known = cohort_conditions(dict(zip(ids, read, strict=True)), SPAN.end_ms)
    in_both = {"all": [{"cohort": str(ids[0])}, {"none": [{"cohort": str(ids[1])}]}]}
    filtered = {"filter": in_both}
    body = {**filtered, "breakdown": f"cohort:{ids[0]}"}
    stickiness = STICKINESS.read(json_format.ParseDict(filtered, activity_pb2.QueryStickinessRequest()), SPAN.end_ms)
    lifecycle = LIFECYCLE.read(json_format.ParseDict(filtered, activity_pb2.QueryLifecycleRequest()), SPAN.end_ms)
    report = SESSIONS.read(json_format.ParseDict(body, activity_pb2.QuerySessionsRequest()), SPAN.end_ms)
    retained = RETENTION.read(json_format.ParseDict(body, retention_pb2.QueryRetentionRequest()), SPAN.end_ms)
    measured = TRENDS.read(
        json_format.ParseDict(
            {"series": [{"event": filtered}, {"measure": "sessions"}], "breakdowns": [f"cohort:{one}" for one in ids]},
            trends_pb2.QueryTrendsRequest(),
        ),
        SPAN.end_ms,
    )
    assert report.breakdown is not None
    top = TopValues(measured.breakdowns, (("in", "out"),), True)
    for statement in (
        preview.statement(TENANT, sampled=sampled),
        stickiness_statement(TENANT, stickiness, sampled=sampled),
        states_statement(TENANT, lifecycle, sampled=sampled),
        sessions.top_values(TENANT, report, report.breakdown, sampled=sampled),
        sessions.numbers(TENANT, report, ["in"], sampled=sampled),
        retention.cells_statement(TENANT, retained, sampled=sampled),
        top_statement(TENANT, measured, sampled=sampled),
        *(plan.statement for plan in plans(TENANT, measured, measured.periods[0], top, sampled=sampled)),
    ):
        with pytest.raises(KeyError):
            _ = statement.sql
        assert_tenant(replace(statement, cohorts=known | {str(uuid.UUID(int=0)): known[str(ids[0])]}))


@given(
    hostile,
    st.sampled_from(["ordered", "strict", "any"]),
    st.sampled_from(["users", "sessions", "totals"]),
    st.sampled_from(["by_step", "strict_time", "grace"]),
    st.booleans(),
    st.booleans(),
)
def test_every_statement_of_funnels_carries_the_tenant(
    key: str, order: str, counting: str, ties: str, split: bool, sampled: bool
) -> None:
    field = f"properties.{key}"
    event = {"names": [key], "filter": {"field": field, "op": "neq", "values": [key]}}
    options = {
        "exclusions": [{"event": event}],
        "held_constant": [field],
        "breakdown": field,
        "filter": event["filter"],
    }
    asked = json_format.ParseDict(
        {
            "steps": [event, {"names": ["b"]}] if split else [event, event],
            "order": order,
            "counting": counting,
            "ties": "by_step" if order == "strict" and ties == "grace" else ties,
            "trend_interval": "day",
            "histogram_bars": 3,
            **(options if split else {}),
        },
        funnels_pb2.QueryFunnelsRequest(),
    )
    question = FUNNELS.read(asked, SPAN.end_ms)
    for with_ids in (False, True):
        assert_tenant(funnel_statement(TENANT, question, sampled=sampled, with_ids=with_ids))
    binder = Binder()
    assert_tenant(Statement(TENANT, "sampled", Select(["1"], meets_steps(question, binder)), binder))


@given(
    st.lists(hostile, min_size=1, max_size=3, unique=True),
    hostile,
    st.sampled_from(["", "start", "end", "around"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_every_statement_of_paths_carries_the_tenant(
    names: list[str], key: str, place: str, collapse: bool, by_user: bool, sampled: bool
) -> None:
    event = {"names": names, "filter": {"field": f"properties.{key}", "op": "neq", "values": [key]}}
    body = {
        "steps": event,
        "step_field": f"properties.{key}",
        "counting": "user" if by_user else "session",
        "collapse_repeats": collapse,
    } | ({place: event} if place else {})
    question = PATHS.read(json_format.ParseDict(body, paths_pb2.QueryPathsRequest()), SPAN.end_ms)
    assert_tenant(paths.names(TENANT, question))
    for elements in (Numbers(names, with_ids=False), Numbers(names, with_ids=True), Tuples()):
        for told in (None, [(number, name) for number, name in enumerate(names)]):
            assert_tenant(paths.ways(TENANT, question, elements, told, sampled=sampled))
