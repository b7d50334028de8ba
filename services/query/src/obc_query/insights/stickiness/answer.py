"""Users by the number of their active intervals: events by person and interval, then intervals by person."""

from collections.abc import Sequence

from obc.query.v1 import activity_pb2
from obc_query.asker import Asker
from obc_query.engine import Row
from obc_query.insights.filter_tree import matching_events
from obc_query.insights.stickiness.question import StickinessQuestion
from obc_query.questions.expressions import EVENT_MS, weight
from obc_query.questions.sampling import answer_sampled_or_not
from obc_query.statement import Binder, Select, Statement


async def answer(
    asker: Asker, tenant_id: str, question: StickinessQuestion, now_ms: int
) -> activity_pb2.QueryStickinessResponse:
    """Asks the engine. Raises what the engine raises."""
    binder = Binder()
    events = matching_events(question.span, (question.event,), question.filter, binder)

    async def ask(sampled: bool) -> Sequence[Row]:
        return await asker.fetch(statement(tenant_id, question, sampled=sampled))

    rows, sampled = await answer_sampled_or_not(asker, tenant_id, events, binder, ask)
    response = _response(question, {int(intervals): float(users) for intervals, users in rows})
    response.info.sampled = sampled
    return response


def statement(tenant_id: str, question: StickinessQuestion, *, sampled: bool) -> Statement:
    """Rows: number of active intervals, users."""
    binder = Binder()
    by_interval = Select(
        columns=["person", "count() AS events", f"min({weight(sampled=sampled)}) AS weight"],
        source=matching_events(question.span, (question.event,), question.filter, binder, "person != ''"),
        group_by=["person", question.window.buckets.expression(EVENT_MS, binder)],
    )
    by_person = Select(
        columns=["count() AS intervals", "min(weight) AS weight"],
        source=by_interval,
        where=[f"events >= {binder.bind(question.at_least, 'Int64')}"],
        group_by=["person"],
    )
    select = Select(columns=["intervals", "sum(weight)"], source=by_person, group_by=["intervals"])
    return Statement(tenant_id, "stickiness", select, binder)


def _response(question: StickinessQuestion, users: dict[int, float]) -> activity_pb2.QueryStickinessResponse:
    total = sum(users.values())
    response = activity_pb2.QueryStickinessResponse(
        users=total, from_ms=question.span.start_ms, to_ms=question.span.end_ms
    )
    at_least = total
    for intervals in range(1, len(question.window.buckets.starts) + 1):
        these = users.get(intervals, 0.0)
        response.bars.add(
            intervals=intervals, users=these, rate=these / total if total else None, users_at_least=at_least
        )
        at_least -= these
    return response
