"""Sessions: the events of one session_id, cut where 30 minutes or more pass without an event; never at midnight.

A session belongs to the moment of its start. To know whether the first event of a range starts a session, the half hour
before the range is read too; to know how long the last ones last, a day after it.
A filter chooses sessions (one matching event is enough) and never takes events out of them, for a session without its
interactions would seem to bounce.
"""

from collections.abc import Sequence

from obc_query.filters import Filter, condition
from obc_query.questions.expressions import EVENT_MS, IS_PAGE_VIEW, WEIGHT
from obc_query.ranges import TimeRange
from obc_query.statement import Binder, Events, Select

GAP_MS = 30 * 60 * 1000
BOUNCE_MS = 10_000
_LOOK_AHEAD_MS = 24 * 3_600_000

_FACTS = (EVENT_MS, f"toUInt8({IS_PAGE_VIEW})", "toUInt8(event_category = 'interaction')", WEIGHT)


def sessions_select(
    span: TimeRange, filters: Sequence[Filter], binder: Binder, *, extras: Sequence[str] = ()
) -> Select:
    """One row per session that starts in a range.

    Its columns: `start_ms`, `duration_ms`, `page_views`, `bounced` (0 or 1: at most one page view, no interaction and
    under 10 s), `weight`, and `s`, the session's events in order, where `event.<extra_position(i)>` is the i-th extra.

    Args:
        span: when the sessions start.
        filters: at least one event of a session must match them all.
        binder: of the statement this becomes part of.
        extras: expressions of an event to carry along.
    """
    matched = " AND ".join(f"({condition(item, binder)})" for item in filters) or "true"
    facts = [*_FACTS, f"toUInt8({matched})", *extras]
    start, end = binder.bind(span.start_ms, "Int64"), binder.bind(span.end_ms, "Int64")
    by_session = Select(
        columns=[f"arraySort(event -> event.1, groupArray(tuple({', '.join(facts)}))) AS events"],
        source=Events(
            start=binder.moment(max(0, span.start_ms - GAP_MS)),
            end=binder.moment(span.end_ms + _LOOK_AHEAD_MS),
            where=["session_id != ''"],
        ),
        group_by=["session_id"],
    )
    split = Select(
        columns=[
            f"arrayJoin(arraySplit((event, gap) -> gap >= {GAP_MS}, events, "
            "arrayDifference(arrayMap(event -> event.1, events)))) AS s"
        ],
        source=by_session,
    )
    described = Select(
        columns=[
            "s",
            "s[1].1 AS start_ms",
            "s[-1].1 - s[1].1 AS duration_ms",
            "arraySum(event -> event.2, s) AS page_views",
            f"toUInt8(page_views <= 1 AND arraySum(event -> event.3, s) = 0 AND duration_ms < {BOUNCE_MS}) AS bounced",
            "arrayMin(event -> event.4, s) AS weight",
        ],
        source=split,
    )
    return Select(
        columns=["s", "start_ms", "duration_ms", "page_views", "bounced", "weight"],
        source=described,
        where=[f"start_ms >= {start}", f"start_ms < {end}", "arrayExists(event -> event.5, s)"],
    )


def first_extra(index: int) -> str:
    """The i-th extra of a session's first event."""
    return f"s[1].{extra_position(index)}"


def extra_position(index: int) -> int:
    """Where the i-th extra is in the tuple of an event."""
    return len(_FACTS) + 2 + index
