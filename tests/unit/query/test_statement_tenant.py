"""No statement leaves without its tenant."""

import ast
import re
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

import obc_query
from obc.query.v1 import (
    activity_pb2,
    cohort_pb2,
    funnels_pb2,
    paths_pb2,
    retention_pb2,
    schema_pb2,
    timeline_pb2,
    trends_pb2,
)
from obc_query.buckets import make_buckets
from obc_query.cohorts import preview
from obc_query.cohorts.people import cohort_conditions
from obc_query.cohorts.reading import read_definition
from obc_query.fields import BUILT_IN_FIELDS, resolve_field
from obc_query.filters import parse_filters
from obc_query.identity.links import LINKED
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
from obc_query.insights.trends.question import MEASURES, PROPERTY_MEASURES
from obc_query.insights.trends.statements import plans
from obc_query.metric_names import parse_metrics
from obc_query.questions import live_snapshot, metrics
from obc_query.questions.dashboard.answer import live_users_statement
from obc_query.questions.dashboard.statements import statements
from obc_query.questions.dashboard.view import View
from obc_query.questions.list_events import EventKey, ListQuestion, keys_statement
from obc_query.ranges import TimeRange, parse_timezone
from obc_query.statement import Binder, Events, Select, Statement
from obc_query.timeline import timeline_question
from obc_query.vocabulary import EVENT_NAMES, PROPERTY_NAMES, event_names, fields_seen, sample

TENANT = str(uuid.uuid4())
SPAN = TimeRange(1_700_000_000_000, 1_700_500_000_000)
hostile = st.text(min_size=1, max_size=40).filter(lambda text: "\x00" not in text)


def tables_and_tenants(sql: str) -> tuple[int, int]:
    """How often the events table is read, and how often with the tenant's predicate right behind it."""
    bare = re.sub(r"`(?:[^`\\]|\\.)*`", "``", sql)  # a property's name may say anything
    return (
        len(re.findall(r"\bFROM\s+(?!\()", bare)),
        len(re.findall(r"\bFROM events WHERE tenant_id = \{tenant:UUID\}(?: AND \(?|\s|\)|$)", bare)),
    )


def assert_tenant(statement: Statement) -> None:
    tables, tenants = tables_and_tenants(statement.sql)
    assert tables == tenants >= 1
    # Where people are linked there is a join before the predicate, and it reads the same tenant.
    linked = replace(statement, linked=LINKED)
    assert tables_and_tenants(LINKED.join) == (1, 1)
    assert tables_and_tenants(linked.sql.replace(f" {LINKED.join}", "")) == (tables, tenants)
    assert statement.about_people == (LINKED.join in linked.sql)
    assert "\0" not in statement.sql + linked.sql
    assert statement.parameters["tenant"] == TENANT
    # No placeholder is left without a value, and no value is written into the text.
    assert set(re.findall(r"\{((?:p|c\d+_)\d+):", statement.sql)) >= set(statement.parameters) - {"tenant"}


def nested(source: Events | Select) -> st.SearchStrategy[Select]:
    columns = st.lists(st.sampled_from(["person", "count()", "event_name AS n"]), min_size=1, max_size=3)
    return st.builds(Select, columns=columns, source=st.just(source), group_by=st.sampled_from([(), ("person",)]))


events = st.builds(Events, where=st.lists(st.sampled_from(["person != ''", "1 OR 1"]), max_size=3))
selects = st.recursive(
    events.flatmap(nested), lambda inner: inner.flatmap(nested), max_leaves=5
)  # fmt: skip


@given(selects)
def test_whatever_is_built_reads_the_tenants_events_only(select: Select) -> None:
    assert_tenant(Statement(TENANT, "test", select))


@given(st.lists(hostile, max_size=4), st.lists(hostile, max_size=4), hostile)
def test_every_question_carries_the_tenant_whatever_its_filters(
    keys: list[str], values: list[str], breakdown: str
) -> None:
    texts = [f"properties.{key}:neq:{value}" for key, value in zip(keys, values, strict=False)]
    filters = parse_filters([*texts, "event_name:contains:'"])
    buckets = make_buckets(SPAN, "day", parse_timezone("Europe/Berlin"))
    names = parse_metrics(["events,users,sessions,p95:x,count:y"])
    question = metrics.MetricsQuestion(names, SPAN, buckets, resolve_field(f"properties.{breakdown}", "b"), filters)
    for sampled in (False, True):
        shape = metrics._Shape(TENANT, question, values, sampled)
        for families in metrics._TOGETHER:
            plan = metrics._plan(families, shape, done={})
            assert plan is not None
            assert_tenant(plan.statement)
    after = EventKey(SPAN.end_ms, uuid.uuid4())
    listing = ListQuestion(SPAN.start_ms, SPAN.end_ms, [("user_id", breakdown)], filters, 10, after)
    assert_tenant(keys_statement(TENANT, listing))


def test_every_statement_of_the_dashboard_and_the_live_view_carries_the_tenant() -> None:
    views = [View(TENANT, SPAN, sampled) for sampled in (False, True)]
    buckets = make_buckets(SPAN, "day", parse_timezone("Europe/Berlin"))
    for statement in [
        *(statement for view in views for statement in statements(view, buckets)),
        live_users_statement(TENANT, SPAN.end_ms),
        live_snapshot._counts(TENANT, SPAN.end_ms),
        live_snapshot._performance(TENANT, SPAN.end_ms),
    ]:
        assert_tenant(statement)


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


@given(hostile, hostile, st.booleans())
def test_every_question_about_names_carries_the_tenant(text: str, name: str, sampled: bool) -> None:
    events = EVENT_NAMES.read(schema_pb2.ListEventNamesRequest(q=text), SPAN.end_ms)
    fields = PROPERTY_NAMES.read(schema_pb2.ListPropertyNamesRequest(q=text, event_name=name), SPAN.end_ms)
    for event_name, total in (("", 10**9), (name, 10**6), ("", 5)):
        rows = [(1, "", total, total, float(total)), (0, name, 3, 0, 0.0)]
        taken = sample.choose(SPAN, event_name, rows)
        for statement in (
            event_names.statement(TENANT, events, sampled=sampled),
            sample.counts(TENANT, SPAN, event_name, sampled=sampled),
            fields_seen.properties(TENANT, taken, fields.search, sampled=sampled),
            fields_seen.built_in(TENANT, taken, BUILT_IN_FIELDS, sampled=sampled),
        ):
            assert_tenant(statement)


@given(hostile, st.lists(hostile, max_size=3), st.booleans())
def test_a_timeline_carries_the_tenant(person: str, names: list[str], back: bool) -> None:
    request = timeline_pb2.GetUserTimelineRequest(id=person, event_name=names)
    question = timeline_question(request, TENANT, "s" * 32)
    key = EventKey(SPAN.end_ms, uuid.uuid4())
    assert_tenant(keys_statement(TENANT, replace(question, newer_than=key) if back else replace(question, after=key)))


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
    assert_tenant(funnel_statement(TENANT, question, sampled=sampled))
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
    for elements in (Numbers(names), Tuples()):
        for told in (None, [(number, name) for number, name in enumerate(names)]):
            assert_tenant(paths.ways(TENANT, question, elements, told, sampled=sampled))


@pytest.mark.parametrize("tenant_id", ["", "x", "' OR 1=1 --"])
def test_there_is_no_statement_without_a_tenant(tenant_id: str) -> None:
    with pytest.raises(ValueError):
        Statement(tenant_id, "test", Select(["1"], Events()))


def test_only_statements_the_expiry_and_the_projector_name_the_events_table() -> None:
    package = Path(obc_query.__file__).parent
    places = {
        path.relative_to(package).as_posix()
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"\bFROM events\b", node.value)
    }
    # Retention and the projector's recovery go through all tenants and answer nobody; whatever answers somebody is a
    # Statement and has a tenant.
    assert places == {"statement.py", "expiry.py", "projection/writer.py"}


def test_a_bound_value_never_reaches_the_text() -> None:
    binder = Binder()
    assert binder.bind("x'; DROP TABLE events", "String") == "{p0:String}"
    assert binder.values == {"p0": "x'; DROP TABLE events"}
