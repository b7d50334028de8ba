"""Asks who came back, and tells the values of the breakdown apart."""

from collections.abc import Sequence

from obc.query.v1 import retention_pb2
from obc_query.asker import Asker
from obc_query.engine import Row
from obc_query.insights.retention.cohorts import group_of, largest, read_cohorts
from obc_query.insights.retention.question import RetentionQuestion
from obc_query.insights.retention.quick import DOUBT, is_quick, quick_statement
from obc_query.insights.retention.statements import cells_statement, relevant_events, top_values_statement
from obc_query.questions.expressions import OTHER
from obc_query.questions.sampling import answer_sampled_or_not
from obc_query.statement import Binder

MAX_ROWS = 300_000
"""More than the rows of MAX_CELLS cells; a breakdown whose values need more has its top values looked for first."""


async def answer(
    asker: Asker, tenant_id: str, question: RetentionQuestion, now_ms: int
) -> retention_pb2.QueryRetentionResponse:
    """Asks the engine. Raises what the engine raises."""
    binder = Binder()
    events = relevant_events(question, binder)

    async def ask(sampled: bool) -> Sequence[Row]:
        if not sampled and is_quick(question):
            rows = await asker.fetch(quick_statement(tenant_id, question))
            if all(period != DOUBT for _, _, period, *_ in rows):
                return rows
        # Most fields have few values: all of them are asked for, and that is the answer unless it is too long.
        rows = await asker.fetch(cells_statement(tenant_id, question, sampled=sampled, limit=MAX_ROWS + 1))
        if len(rows) <= MAX_ROWS:
            return rows
        values = await asker.fetch(top_values_statement(tenant_id, question, sampled=sampled))
        top = [str(value) for (value,) in values if value != OTHER][: question.breakdown_limit]
        return await asker.fetch(cells_statement(tenant_id, question, sampled=sampled, top=top))

    rows, sampled = await answer_sampled_or_not(asker, tenant_id, events, binder, ask)
    response = retention_pb2.QueryRetentionResponse(
        from_ms=question.span.start_ms,
        to_ms=question.span.end_ms,
        interval=question.window.interval,
        timezone=question.window.zone.key,
    )
    response.info.sampled = sampled
    found = read_cohorts(rows, accumulate=question.or_after and not sampled)
    if question.breakdown is None:
        response.groups.append(group_of(question, found.get("", {}), now_ms))
    else:
        for label, cohorts in largest(found, question.breakdown_limit):
            group = group_of(question, cohorts, now_ms)
            group.breakdown_value = label
            response.groups.append(group)
    return response
