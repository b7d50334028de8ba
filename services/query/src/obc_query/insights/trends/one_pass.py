"""Breakdowns of sums in one pass: what is added up for every value can be added up again for all but the top ones.

So the values need not be known before. (Of distinct people and percentiles it would take a state for every value.)
"""

from collections.abc import Sequence

from obc_query.engine import Row
from obc_query.insights.breakdown import Labels, label_expression
from obc_query.insights.filter_tree import matching_events
from obc_query.insights.trends.question import TrendsQuestion
from obc_query.insights.trends.statements import Plan, event_measures
from obc_query.questions.expressions import EVENT_MS, OTHER
from obc_query.statement import Binder, Select, Statement

_SUMS = ("total", "sum", "avg")
_MOST_BUCKETS = 100
"""With more there might be many times as many groups as values, which may be many themselves."""


def fits_one_pass(question: TrendsQuestion) -> bool:
    """Whether it can be asked so, where nothing is sampled."""
    sums = all(series.measure in _SUMS for series in question.series)
    plain = question.previous is None and not question.cumulative
    return bool(question.breakdowns) and sums and plain and len(question.window.buckets.starts) <= _MOST_BUCKETS


def one_pass(tenant_id: str, question: TrendsQuestion) -> Plan:
    """What to ask. Rows are those of other plans, with the value's labels behind them; the top values have numbers."""
    binder = Binder()
    measures = event_measures(dict(enumerate(question.series)), binder, sampled=False)
    aggregates = [aggregate for measure in measures.values() for aggregate in measure.aggregates]
    labels = [f"label{index}" for index in range(len(question.breakdowns))]
    numbers = [f"number{index}" for index in range(len(aggregates))]
    by_value = Select(
        columns=[
            *(f"{label_expression(one)} AS {label}" for one, label in zip(question.breakdowns, labels, strict=True)),
            f"{question.window.buckets.expression(EVENT_MS, binder)} AS bucket",
            *(f"{one.number()} AS {name}" for one, name in zip(aggregates, numbers, strict=True)),
            "count() AS events",
        ],
        source=matching_events(question.span, [one.event for one in question.series], question.filter, binder),
        group_by=[*labels, "bucket"],
    )
    beside = [*labels, "bucket", *numbers]
    by_all = ", ".join(labels)
    weighed = Select([*beside, f"sum(events) OVER (PARTITION BY {by_all}) AS whole"], by_value)
    is_other = " AND ".join(f"{label} = '{OTHER}'" for label in labels)
    order = f"{is_other}, whole DESC, {by_all}"
    ranked = Select([*beside, f"dense_rank() OVER (ORDER BY {order}) AS place"], weighed)
    limit = int(question.breakdown_limit)
    select = Select(
        columns=[
            "grouping(value)",
            "grouping(bucket)",
            f"if(place <= {limit} AND NOT ({is_other}), place, 0) AS value",
            "bucket",
            *(f"sum({name})" for name in numbers),
            *(f"any({label})" for label in labels),
        ],
        source=ranked,
        group_by=["value", "bucket"],
        rollup=True,
    )
    return Plan(Statement(tenant_id, "trends_events", select, binder), measures, False, question.window.buckets)


def shown_values(question: TrendsQuestion, rows: Sequence[Row]) -> list[tuple[int, Labels]]:
    """The values in those rows with their numbers, most events first, `$other` last."""
    width = len(question.breakdowns)
    labels = {int(row[2]): tuple(str(label) for label in row[-width:]) for row in rows if not row[0] and row[1]}
    shown = [(number, labels[number]) for number in sorted(labels) if number]
    return [*shown, (0, (OTHER,) * width)] if 0 in labels else shown
