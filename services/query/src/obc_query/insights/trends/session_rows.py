"""Sessions in which events of a series lie: which session of its session_id, in which bucket, of which value.

A session is cut where 30 minutes pass between consecutive events of its session_id, whatever events they are. Two
events of a range belong to one session if no cut lies between them, and everything between them is in the range too: so
the events of the range tell its sessions apart.

An event is one number here, for arrays of numbers are several times cheaper to gather and sort than arrays of tuples:
its time, then 8 bits for the breakdown value (at most 200), then a bit for each series (at most 10).
"""

from collections.abc import Sequence

from obc_query.buckets import Buckets
from obc_query.questions.expressions import EVENT_MS, WEIGHT
from obc_query.questions.sessions import GAP_MS
from obc_query.statement import Binder, Events, Select

_SERIES_BITS = 10
_VALUE_BITS = 8
_TIME_SHIFT = _SERIES_BITS + _VALUE_BITS
_SERIES_MASK = (1 << _SERIES_BITS) - 1
_VALUE_MASK = (1 << _VALUE_BITS) - 1


def is_of(number: int) -> str:
    """The condition that a row is of a series, by its place among the conditions given to `session_rows`."""
    return f"bitAnd(mask, {1 << number}) != 0"


def session_rows(
    events: Events, conditions: Sequence[str], value: str | None, buckets: Buckets, binder: Binder, *, sampled: bool
) -> Select:
    """Rows: `session`, `bucket`, `value`, `mask`, and `weight` where events are sampled; none of them twice.

    Args:
        events: all events of the range, whatever they are.
        conditions: for each series which events are its.
        value: number of an event's breakdown value; None = no breakdown.
        buckets: of the range.
        binder: of the statement this becomes part of.
        sampled: whether events may stand for more than themselves.
    """
    bits = [f"{1 << number} * toInt64({condition})" for number, condition in enumerate(conditions)]
    if value is not None:
        bits.append(f"{1 << _SERIES_BITS} * toInt64({value})")
    code = f"{EVENT_MS} * {1 << _TIME_SHIFT} + {' + '.join(bits)}"
    by_session = Select(
        columns=["session_id", f"arraySort(groupArray({f'({code}, {WEIGHT})' if sampled else code})) AS events"],
        source=Events(events.start, events.end, [*events.where, "session_id != ''"]),
        group_by=["session_id"],
    )
    number = "event.1" if sampled else "event"
    time = f"bitShiftRight({number}, {_TIME_SHIFT})"
    cuts = f"arrayMap(gap -> gap >= {GAP_MS}, arrayDifference(arrayMap(event -> {time}, events)))"
    row = [
        "place",
        buckets.expression(time, binder),
        f"bitAnd(bitShiftRight({number}, {_SERIES_BITS}), {_VALUE_MASK})",
        f"bitAnd({number}, {_SERIES_MASK})",
        *(["event.2"] if sampled else []),
    ]
    rows = f"arrayMap((event, place) -> ({', '.join(row)}), events, arrayCumSum({cuts}))"
    split = Select(
        columns=["session_id", f"arrayJoin(arrayDistinct(arrayFilter(row -> row.4 != 0, {rows}))) AS row"],
        source=by_session,
    )
    return Select(
        columns=[
            "concat(session_id, ':', toString(row.1)) AS session",
            "row.2 AS bucket",
            "row.3 AS value",
            "row.4 AS mask",
            *(["row.5 AS weight"] if sampled else []),
        ],
        source=split,
    )
