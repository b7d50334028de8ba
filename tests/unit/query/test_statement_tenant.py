"""No statement leaves without its tenant."""

import ast
import re
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import obc_query
from obc.query.v1 import (
    schema_pb2,
    timeline_pb2,
)
from obc_query.buckets import make_buckets
from obc_query.fields import BUILT_IN_FIELDS, resolve_field
from obc_query.filters import parse_filters
from obc_query.identity.device import edge_statement, known_devices_statement, owner_statement
from obc_query.metric_names import Family, parse_metrics
from obc_query.questions import live_snapshot, metrics
from obc_query.questions.dashboard.answer import live_users_statement
from obc_query.questions.dashboard.statements import statements
from obc_query.questions.dashboard.view import View
from obc_query.questions.list_events import EventKey, ListQuestion, keys_statement
from obc_query.ranges import parse_timezone
from obc_query.schema import QUARTER
from obc_query.statement import Binder, Events, Rows, Select, Statement, Union
from obc_query.timeline import timeline_question
from obc_query.vocabulary import EVENT_NAMES, PROPERTY_NAMES, event_names, fields_seen, sample
from tests.support.tenant_statements import SPAN, TENANT, assert_tenant, hostile


def nested(source: Rows) -> st.SearchStrategy[Select]:
    columns = st.lists(st.sampled_from(["person", "count()", "event_name AS n"]), min_size=1, max_size=3)
    return st.builds(Select, columns=columns, source=st.just(source), group_by=st.sampled_from([(), ("person",)]))


events = st.builds(Events, where=st.lists(st.sampled_from(["person != ''", "1 OR 1"]), max_size=3))
selects = st.recursive(
    events.flatmap(nested),
    lambda inner: inner.flatmap(nested) | st.builds(Union, st.lists(inner, min_size=1, max_size=3)).flatmap(nested),
    max_leaves=5,
)


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
        counted = replace(question, metrics=parse_metrics(["events,count:y"]), breakdown=None, filters=())
        plan = metrics._plan((Family.EVENTS,), metrics._Shape(TENANT, counted, None, sampled), done={})
        assert plan is not None
        assert_tenant(plan.statement)
        assert QUARTER in plan.statement.sql
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


@given(hostile, st.lists(hostile, max_size=3))
def test_what_is_asked_about_devices_carries_the_tenant(device: str, others: list[str]) -> None:
    for one in (owner_statement(TENANT, device), edge_statement(TENANT, device)):
        assert_tenant(one)
    assert_tenant(known_devices_statement(TENANT, [device, *others]))


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
