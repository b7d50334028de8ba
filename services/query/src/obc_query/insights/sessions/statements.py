"""What the report on sessions reads."""

from collections.abc import Sequence

from obc_query.fields import Field
from obc_query.insights.filter_tree import filter_condition
from obc_query.insights.sessions.question import SessionsQuestion
from obc_query.questions.expressions import NONE, OTHER
from obc_query.questions.sessions import Extra, sessions_select
from obc_query.statement import Binder, Select, Statement

MOST_PAGES = 20
# Events of one millisecond have the order of their ids.
_TIE = "toUInt128(event_id)"
_NUMBERS = (
    "sum(weight)",
    "sum(weight * duration_ms)",
    "quantileExactInclusive(0.5)(duration_ms)",
    "quantileExactInclusive(0.9)(duration_ms)",
    "sum(weight * bounced)",
    "sum(weight * page_views)",
    "sum(weight * event_count)",
)


def top_values(tenant_id: str, question: SessionsQuestion, breakdown: Field, *, sampled: bool) -> Statement:
    """Rows: the values of the breakdown that most sessions begin with, one more than are told apart."""
    binder = Binder()
    sessions = _sessions(question, binder, [_label(breakdown)], sampled=sampled)
    select = Select(
        columns=["extra0[1].2 AS value"],
        source=sessions,
        group_by=["value"],
        order_by=["sum(weight) DESC", "value"],
        limit=question.values + 1,
    )
    return Statement(tenant_id, "sessions_values", select, binder)


def numbers(tenant_id: str, question: SessionsQuestion, top: Sequence[str] | None, *, sampled: bool) -> Statement:
    """Rows: whether it is the whole range, whether it is all values together, value, bucket, then _NUMBERS.

    Args:
        tenant_id: whose.
        question: about which sessions.
        top: values of the breakdown that are told apart; None = no breakdown.
        sampled: whether events may stand for more than themselves.
    """
    binder = Binder()
    value = "''"
    extras: list[Extra] = []
    if question.breakdown is not None and top is not None:
        extras.append(_label(question.breakdown))
        known = binder.bind(list(top), "Array(String)")
        value = f"if(has({known}, extra0[1].2), extra0[1].2, '{OTHER}')"
    select = Select(
        columns=[
            "grouping(bucket)",
            "grouping(value)",
            f"{value} AS value",
            f"{question.window.buckets.expression('start_ms', binder)} AS bucket",
            *_NUMBERS,
        ],
        source=_sessions(question, binder, extras, sampled=sampled),
        group_by=["value", "bucket"],
        rollup=True,
    )
    return Statement(tenant_id, "sessions", select, binder)


def pages(tenant_id: str, question: SessionsQuestion, *, sampled: bool) -> Statement:
    """Rows: `entry` or `exit`, path, sessions, bounces; the most frequent of each kind."""
    binder = Binder()
    paths = Extra("page_path", "page_path != ''", _TIE)
    ends = Select(
        columns=[
            "arrayJoin([('entry', extra0[1].2), ('exit', extra0[-1].2)]) AS page",
            "weight",
            "bounced",
        ],
        source=_sessions(question, binder, [paths], sampled=sampled),
        where=["notEmpty(extra0)"],
    )
    select = Select(
        columns=["page.1 AS kind", "page.2 AS path", "sum(weight) AS sessions", "sum(weight * bounced)"],
        source=ends,
        group_by=["kind", "path"],
        order_by=["kind", "sessions DESC", "path"],
        limit=MOST_PAGES,
        limit_by="kind",
    )
    return Statement(tenant_id, "sessions_pages", select, binder)


def _label(breakdown: Field) -> Extra:
    return Extra(f"ifNull(toString({breakdown.label}), '{NONE}')", tie=_TIE)


def _sessions(question: SessionsQuestion, binder: Binder, extras: Sequence[Extra], *, sampled: bool) -> Select:
    matching = None if question.filter is None else filter_condition(question.filter, binder)
    return sessions_select(question.span, matching, binder, sampled=sampled, extras=extras)
