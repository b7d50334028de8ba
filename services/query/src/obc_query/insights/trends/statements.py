"""Statements of trends: one for what is measured of events, one for sessions; and their rows read.

All series of a kind share a statement: one pass over the events gives every series, bucket and breakdown value.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from obc_query.buckets import Buckets
from obc_query.engine import Row
from obc_query.insights.breakdown import TopValues
from obc_query.insights.filter_tree import filter_condition, matching_events, selector_condition
from obc_query.insights.trends.aggregates import grouped
from obc_query.insights.trends.measures import Measure, measure_counts, measure_events, measure_sessions
from obc_query.insights.trends.question import Period, Series, TrendsQuestion
from obc_query.insights.trends.session_rows import is_of, session_rows
from obc_query.questions import quarters
from obc_query.questions.expressions import EVENT_MS
from obc_query.statement import Binder, Events, Statement

_SESSIONS = "sessions"


@dataclass(slots=True)
class Measured:
    """One series of one breakdown value.

    Attributes:
        total: of the whole range; None = no value.
        by_bucket: of each bucket with events, by its start; None = no value.
        skipped: events that were no numbers.
    """

    total: float | None
    by_bucket: Mapping[int, float | None] = field(default_factory=dict)
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement, and which of its numbers are which series'.

    Attributes:
        statement: what to ask.
        measures: by place of the series in the request, in the order of the statement's numbers.
        cumulative: whether its rows are.
        buckets: of the period.
    """

    statement: Statement
    measures: Mapping[int, Measure]
    cumulative: bool
    buckets: Buckets

    def read(self, rows: Sequence[Row]) -> dict[tuple[int, int], Measured]:
        """By place of the series and number of the breakdown value."""
        by_value: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            if not row[0]:
                by_value[int(row[2])].append(row)
        read: dict[tuple[int, int], Measured] = {}
        for value, its_rows in by_value.items():
            whole = max(its_rows, key=lambda row: (row[1], row[3]))
            points = {int(row[3]): row for row in its_rows if not row[1]}
            first = 4
            for series, measure in self.measures.items():
                columns = slice(first, first := first + len(measure.aggregates))
                numbers = {start: _numbers(row[columns]) for start, row in points.items()}
                values = {start: measure.value(found) for start, found in numbers.items()}
                total = _numbers(whole[columns])
                if self.cumulative:
                    values = self._carried_on(values, measure.nothing)
                read[series, value] = Measured(
                    measure.value(total),
                    values,
                    int(total[-1]) if measure.skips else 0,
                )
        return read

    def _carried_on(self, values: Mapping[int, float | None], nothing: float | None) -> dict[int, float | None]:
        """In a bucket without events everything is as it was."""
        carried: dict[int, float | None] = {}
        last = nothing
        for start in self.buckets.starts:
            last = carried[start] = values.get(start, last)
        return carried


def plans(
    tenant_id: str, question: TrendsQuestion, period: Period, top: TopValues | None, *, sampled: bool
) -> list[Plan]:
    """What to ask about a period: every series is in one of them."""
    series = dict(enumerate(question.series))
    events = {place: one for place, one in series.items() if one.measure != _SESSIONS}
    sessions = {place: one for place, one in series.items() if one.measure == _SESSIONS}
    found: list[Plan] = []
    if events:
        counted = _counts_plan(tenant_id, question, period, events, sampled=sampled)
        found.append(counted or _events_plan(tenant_id, question, period, top, events, sampled=sampled))
    if sessions:
        found.append(_sessions_plan(tenant_id, question, period, top, sessions, sampled=sampled))
    return found


def _counts_plan(
    tenant_id: str, question: TrendsQuestion, period: Period, series: Mapping[int, Series], *, sampled: bool
) -> Plan | None:
    """The plan where events need only be counted, by their names."""
    plain = all(one.measure == "total" and one.event.filter is None for one in series.values())
    binder = Binder()
    if not plain or question.filter is not None or question.breakdowns:
        return None
    rows = quarters.counts(period.span, period.buckets, binder)
    if rows is None:
        return None
    measures = {
        place: measure_counts([selector_condition(one.event, binder)], sampled=sampled) for place, one in series.items()
    }
    aggregates = [aggregate for measure in measures.values() for aggregate in measure.aggregates]
    select = grouped(rows, None, "bucket", aggregates, cumulative=question.cumulative)
    return Plan(Statement(tenant_id, "trends_counts", select, binder), measures, question.cumulative, period.buckets)


def _events_plan(
    tenant_id: str,
    question: TrendsQuestion,
    period: Period,
    top: TopValues | None,
    series: Mapping[int, Series],
    *,
    sampled: bool,
) -> Plan:
    binder = Binder()
    measures = event_measures(series, binder, sampled=sampled)
    source = matching_events(period.span, [one.event for one in series.values()], question.filter, binder)
    select = grouped(
        source,
        None if top is None else top.number(binder),
        period.buckets.expression(EVENT_MS, binder),
        [aggregate for measure in measures.values() for aggregate in measure.aggregates],
        cumulative=question.cumulative,
    )
    statement = Statement(tenant_id, "trends_events", select, binder)
    return Plan(statement, measures, question.cumulative, period.buckets)


def event_measures(series: Mapping[int, Series], binder: Binder, *, sampled: bool) -> dict[int, Measure]:
    """How series are measured of the events that at least one of them means."""
    measures: dict[int, Measure] = {}
    for place, one in series.items():
        # A single series is all that the statement reads.
        test = "true" if len(series) == 1 else selector_condition(one.event, binder)
        measures[place] = measure_events(one, [] if test == "true" else [test], sampled=sampled)
    return measures


def _sessions_plan(
    tenant_id: str,
    question: TrendsQuestion,
    period: Period,
    top: TopValues | None,
    series: Mapping[int, Series],
    *,
    sampled: bool,
) -> Plan:
    binder = Binder()
    rows = session_rows(
        Events(binder.moment(period.span.start_ms), binder.moment(period.span.end_ms)),
        [_meant(question, one, binder) for one in series.values()],
        None if top is None else top.number(binder),
        period.buckets,
        binder,
        sampled=sampled,
    )
    measures = {place: measure_sessions([is_of(bit)], sampled=sampled) for bit, place in enumerate(series)}
    select = grouped(
        rows,
        None if top is None else "value",
        "bucket",
        [aggregate for measure in measures.values() for aggregate in measure.aggregates],
        cumulative=question.cumulative,
    )
    statement = Statement(tenant_id, "trends_sessions", select, binder)
    return Plan(statement, measures, question.cumulative, period.buckets)


def _meant(question: TrendsQuestion, series: Series, binder: Binder) -> str:
    condition = selector_condition(series.event, binder)
    return condition if question.filter is None else f"({condition}) AND ({filter_condition(question.filter, binder)})"


def _numbers(row: Row) -> list[float]:
    return [float(number) for number in row]
