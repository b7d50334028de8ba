"""The numbers of the live view: the last five minutes, from the read model."""

from collections.abc import Sequence
from dataclasses import dataclass

from obc_query.asker import Asker
from obc_query.questions import expressions as term
from obc_query.statement import Binder, Events, Select, Statement

WINDOW_MS = 5 * 60 * 1000
_MINUTE_MS = 60_000
_MAX_MEASUREMENTS = 20


@dataclass(frozen=True, slots=True)
class LiveMeasurement:
    """One performance metric of the last five minutes."""

    name: str
    count: float
    p75: float


@dataclass(frozen=True, slots=True)
class Activity:
    """A tenant's activity at a moment."""

    at_ms: int
    live_users: float
    events_last_minute: float
    errors: float
    error_rate: float | None
    performance: Sequence[LiveMeasurement]


async def read_activity(asker: Asker, tenant_id: str, now_ms: int) -> Activity:
    """The last five minutes up to a moment. Raises what the engine raises."""
    counts, measured = await asker.fetch_all([_counts(tenant_id, now_ms), _performance(tenant_id, now_ms)])
    last_minute, errors, events, people = counts[0]
    return Activity(
        at_ms=now_ms,
        live_users=float(people),
        events_last_minute=float(last_minute),
        errors=float(errors),
        error_rate=float(errors) / float(events) if events else None,
        performance=[LiveMeasurement(name, count, p75) for name, count, p75 in measured],
    )


def _window(now_ms: int, binder: Binder, *where: str) -> Events:
    return Events(binder.moment(now_ms - WINDOW_MS), binder.moment(now_ms), where)


def _counts(tenant_id: str, now_ms: int) -> Statement:
    binder = Binder()
    minute_ago = binder.moment(now_ms - _MINUTE_MS)
    select = Select(
        columns=[
            f"sumIf({term.WEIGHT}, event_time >= {minute_ago})",
            f"sumIf({term.WEIGHT}, {term.IS_ERROR})",
            f"sum({term.WEIGHT})",
            # Five minutes are few events: sampled or not, the general form is cheap.
            term.people("true", sampled=True),
        ],
        source=_window(now_ms, binder),
    )
    return Statement(tenant_id, "live_counts", select, binder)


def _performance(tenant_id: str, now_ms: int) -> Statement:
    binder = Binder()
    measurements = Select(
        columns=[
            f"ifNull({term.MEASUREMENT_NAME}, '') AS name",
            f"assumeNotNull({term.MEASUREMENT_VALUE}) AS number",
            f"{term.WEIGHT} AS weight",
        ],
        source=_window(now_ms, binder, term.IS_MEASUREMENT, f"isNotNull({term.MEASUREMENT_VALUE})"),
    )
    select = Select(
        columns=["name", "sum(weight) AS count", "quantileExactInclusive(0.75)(number)"],
        source=measurements,
        where=["name != ''"],
        group_by=["name"],
        order_by=["count DESC", "name"],
        limit=_MAX_MEASUREMENTS,
    )
    return Statement(tenant_id, "live_performance", select, binder)
