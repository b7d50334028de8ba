"""Sessions: the events of one session_id, cut where 30 minutes or more pass without an event; never at midnight.

A session belongs to the moment of its start. To know whether the first event of a range starts a session, the half hour
before the range is read too; to know how long the last ones last, a day after it.
A filter chooses sessions (one matching event is enough) and never takes events out of them, for a session without its
interactions would seem to bounce.

An event is one number here, its time and its flags, for arrays of numbers are several times cheaper to gather and sort
than arrays of tuples; and only a session_id that spans half an hour is looked at for cuts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from obc_query.questions.expressions import EVENT_MS, IS_PAGE_VIEW, WEIGHT
from obc_query.ranges import TimeRange
from obc_query.statement import Binder, Events, Select

GAP_MS = 30 * 60 * 1000
BOUNCE_MS = 10_000
_LOOK_AHEAD_MS = 24 * 3_600_000

_FLAGS = 8
_VIEW, _INTERACTION, _MATCHED = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Extra:
    """An expression of an event to carry along, of the events that meet a condition.

    Attributes:
        expression: what.
        condition: of which events.
        tie: orders events of one millisecond; "0" = they come in any order.
    """

    expression: str
    condition: str = "true"
    tie: str = "0"


def sessions_select(
    span: TimeRange, matching: str | None, binder: Binder, *, sampled: bool, extras: Sequence[Extra] = ()
) -> Select:
    """One row per session that starts in a range.

    Its columns: `start_ms`, `duration_ms`, `event_count`, `page_views`, `bounced` (0 or 1: at most one page view, no
    interaction and under 10 s), `weight`, and for each extra `extra0`, `extra1` ...: its values (ms, value, tie) in the
    session's order.

    Args:
        span: when the sessions start.
        matching: condition that at least one event of a session must meet; None = none.
        binder: of the statement this becomes part of.
        sampled: whether events may stand for more than themselves.
        extras: what else to carry along.
    """
    flags = [f"{_VIEW} * ({IS_PAGE_VIEW})", f"{_INTERACTION} * (event_category = 'interaction')"]
    if matching is not None:
        flags.append(f"{_MATCHED} * ({matching})")
    start, end = binder.bind(span.start_ms, "Int64"), binder.bind(span.end_ms, "Int64")
    carried = [
        f"arraySort(item -> (item.1, item.3), "
        f"groupArrayIf(({EVENT_MS}, {extra.expression}, {extra.tie}), {extra.condition})) AS all{i}"
        for i, extra in enumerate(extras)
    ]
    if sampled:
        carried.append(f"groupArray(({EVENT_MS}, {WEIGHT})) AS weights")
    by_session = Select(
        columns=[f"arraySort(groupArray({EVENT_MS} * {_FLAGS} + {' + '.join(flags)})) AS events", *carried],
        source=Events(
            start=binder.moment(max(0, span.start_ms - GAP_MS)),
            end=binder.moment(span.end_ms + _LOOK_AHEAD_MS),
            where=["session_id != ''"],
        ),
        group_by=["session_id"],
    )
    carried_names = [f"extra{i}" for i in range(len(extras))]
    names = [f"all{i}" for i in range(len(extras))] + (["weights"] if sampled else [])
    split = Select(
        columns=[
            f"arrayJoin(if({_ms('events[-1]')} - {_ms('events[1]')} < {GAP_MS}, [events], arraySplit((event, gap) -> "
            f"gap >= {GAP_MS}, events, arrayDifference(arrayMap(event -> {_ms('event')}, events))))) AS s",
            *names,
        ],
        source=by_session,
    )
    described = Select(
        columns=[
            f"{_ms('s[1]')} AS start_ms",
            f"{_ms('s[-1]')} AS last_ms",
            "last_ms - start_ms AS duration_ms",
            "length(s) AS event_count",
            f"arrayCount(event -> bitAnd(event, {_VIEW}) != 0, s) AS page_views",
            f"toUInt8(page_views <= 1 AND duration_ms < {BOUNCE_MS} "
            f"AND NOT arrayExists(event -> bitAnd(event, {_INTERACTION}) != 0, s)) AS bounced",
            f"arrayMin(pair -> pair.2, {_within('weights')}) AS weight" if sampled else "1 AS weight",
            *(f"{_within(f'all{i}')} AS extra{i}" for i in range(len(extras))),
            *([f"arrayExists(event -> bitAnd(event, {_MATCHED}) != 0, s) AS matched"] if matching is not None else []),
        ],
        source=split,
    )
    return Select(
        columns=["start_ms", "duration_ms", "event_count", "page_views", "bounced", "weight", *carried_names],
        source=described,
        where=[f"start_ms >= {start}", f"start_ms < {end}", *(["matched"] if matching is not None else [])],
    )


def _ms(event: str) -> str:
    return f"intDiv({event}, {_FLAGS})"


def _within(pairs: str) -> str:
    return f"arrayFilter(pair -> pair.1 BETWEEN start_ms AND last_ms, {pairs})"
