"""GetDashboard: the five groups of the standing dashboard, each number beside that of the period before."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from obc_query.asker import Asker
from obc_query.buckets import make_buckets
from obc_query.engine import Row
from obc_query.questions import expressions as term
from obc_query.questions.dashboard.model import Dashboard, Step
from obc_query.questions.dashboard.rows import measurements_of, numbers_of, ranked
from obc_query.questions.dashboard.statements import statements
from obc_query.questions.dashboard.view import View, both_periods
from obc_query.questions.metrics import points_of
from obc_query.questions.sampling import answer_sampled_or_not
from obc_query.ranges import TimeRange
from obc_query.statement import Binder, Events, Select, Statement

_LIVE_MS = 5 * 60 * 1000


async def get_dashboard(asker: Asker, tenant_id: str, span: TimeRange, zone: ZoneInfo, now_ms: int) -> Dashboard:
    """Answers the dashboard. Raises InvalidArgument(TOO_MANY_BUCKETS), and what the engine raises."""
    buckets = make_buckets(span, "day", zone)
    binder = Binder()

    async def answer(sampled: bool) -> list[Sequence[Row]]:
        return await asker.fetch_all(statements(View(tenant_id, span, sampled), buckets))

    rows, sampled = await answer_sampled_or_not(asker, tenant_id, both_periods(span, binder), binder, answer)
    journey, groups, totals, actions, performance, pages, errors = rows
    elements = [("top_actions", *row[1:6]) for row in actions if not row[0]]
    visits = [row[:6] for row in journey if row[0] not in ("sessions", "transitions")]
    by_day = {int(row[3]): float(row[-1]) for row in totals if not row[0] and not row[1] and row[2]}
    return Dashboard(
        numbers=numbers_of(totals, actions, journey),
        lists=ranked([*groups, *elements, *pages, *errors, *visits]),
        measurements=measurements_of(performance),
        transitions=[Step(row[1], row[2], row[3]) for row in journey if row[0] == "transitions"],
        users_by_day=points_of(buckets, by_day, now_ms, nothing=0.0),
        sampled=sampled,
    )


def live_users_statement(tenant_id: str, now_ms: int) -> Statement:
    """Distinct people of the last five minutes. Never cached: it changes with time alone."""
    binder = Binder()
    events = Events(binder.moment(now_ms - _LIVE_MS), binder.moment(now_ms), ["person != ''"])
    people = Select(["person", f"min({term.WEIGHT}) AS weight"], events, group_by=["person"])
    return Statement(tenant_id, "live_users", Select(["sum(weight)"], people), binder)
