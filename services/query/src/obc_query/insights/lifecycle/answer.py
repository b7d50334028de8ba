"""Asks who was active when, and makes the points."""

from collections.abc import Mapping, Sequence

from obc.query.v1 import activity_pb2
from obc_query.asker import Asker
from obc_query.engine import Row
from obc_query.insights.lifecycle.question import LifecycleQuestion
from obc_query.insights.lifecycle.statements import STATES, relevant_events, states_statement
from obc_query.questions.sampling import answer_sampled_or_not
from obc_query.statement import Binder


async def answer(
    asker: Asker, tenant_id: str, question: LifecycleQuestion, now_ms: int
) -> activity_pb2.QueryLifecycleResponse:
    """Asks the engine. Raises what the engine raises."""
    binder = Binder()
    events = relevant_events(question, binder)

    async def ask(sampled: bool) -> Sequence[Row]:
        return await asker.fetch(states_statement(tenant_id, question, sampled=sampled))

    rows, sampled = await answer_sampled_or_not(asker, tenant_id, events, binder, ask)
    people = {(int(number), STATES[int(state)]): float(count) for number, state, count in rows}
    response = _response(question, people, now_ms)
    response.info.sampled = sampled
    return response


def _response(
    question: LifecycleQuestion, people: Mapping[tuple[int, str], float], now_ms: int
) -> activity_pb2.QueryLifecycleResponse:
    response = activity_pb2.QueryLifecycleResponse(from_ms=question.span.start_ms, to_ms=question.span.end_ms)
    # Number 0 is the bucket before the window.
    for number in range(1, len(question.calendar.starts)):
        over = question.calendar.end_of(number) <= now_ms
        point = response.points.add(start_ms=question.calendar.starts[number], incomplete=not over)
        for state in STATES:
            count = people.get((number, state), 0.0)
            if over or (count and state != "dormant"):
                setattr(point, state, count)
    return response
