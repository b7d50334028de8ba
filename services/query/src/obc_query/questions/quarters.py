"""Counts of events by name and category, from quarters of an hour that the engine keeps counted.

The projection `quarters` of the events table holds, for each part, how many events of a name and category lie in each
quarter of an hour. The engine reads it instead of the events where a statement says nothing that its keys do not tell;
what a range cuts off a quarter is counted of the events themselves. Time zones are whole quarters off, so days, weeks,
months and hours of any are made of them.
"""

from obc_query.buckets import Buckets
from obc_query.questions.expressions import WEIGHT
from obc_query.ranges import TimeRange
from obc_query.schema import QUARTER, QUARTER_MS
from obc_query.statement import Binder, Events, Select, Union


def counts(span: TimeRange, buckets: Buckets, binder: Binder) -> Union | None:
    """Rows: bucket, event_name, event_category, events, weight (what they stand for).

    None where quarters do not help: a bucket is no whole number of them, or the range holds none.

    Args:
        span: which events.
        buckets: which cover the span.
        binder: of the statement this becomes part of.
    """
    first, end = -(-span.start_ms // QUARTER_MS), span.end_ms // QUARTER_MS
    # Division goes toward zero: the quarter of the epoch has events from before it, too.
    if first < 1 or end <= first or any(start % QUARTER_MS for start in buckets.starts):
        return None
    whole = Events(
        where=[f"{QUARTER} >= {binder.bind(first, 'Int64')}", f"{QUARTER} < {binder.bind(end, 'Int64')}"],
    )
    edges = [(span.start_ms, first * QUARTER_MS), (end * QUARTER_MS, span.end_ms)]
    cut_off = [Events(binder.moment(start), binder.moment(until)) for start, until in edges if start < until]
    bucket = buckets.expression(f"{QUARTER} * {QUARTER_MS}", binder)
    columns = [f"{bucket} AS bucket", "event_name", "event_category", "count() AS events", f"sum({WEIGHT}) AS weight"]
    keys = ["bucket", "event_name", "event_category"]
    return Union([Select(columns=columns, source=events, group_by=keys) for events in (whole, *cut_off)])


def each(*, sampled: bool) -> str:
    """What a row of `counts` counts."""
    return "weight" if sampled else "events"
