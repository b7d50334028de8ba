"""Funnels, from rows to messages."""

from collections.abc import Mapping, Sequence

from obc.query.v1 import funnels_pb2
from obc_query.asker import Asker
from obc_query.engine import Row
from obc_query.insights.funnels.events import meets_steps
from obc_query.insights.funnels.question import FunnelQuestion
from obc_query.insights.funnels.statements import funnel_statement, needs_ids
from obc_query.questions.sampling import answer_sampled_or_not
from obc_query.statement import Binder


async def answer(
    asker: Asker, tenant_id: str, question: FunnelQuestion, now_ms: int
) -> funnels_pb2.QueryFunnelsResponse:
    """Asks the engine. Raises what the engine raises."""
    binder = Binder()

    async def ask(sampled: bool) -> Sequence[Row]:
        if needs_ids(question, sampled=sampled):
            rows = await asker.fetch(funnel_statement(tenant_id, question, sampled=sampled, with_ids=False))
            if not any(row[-1] for row in rows):
                return rows
        return await asker.fetch(funnel_statement(tenant_id, question, sampled=sampled, with_ids=True))

    rows, sampled = await answer_sampled_or_not(asker, tenant_id, meets_steps(question, binder), binder, ask)
    response = funnels_pb2.QueryFunnelsResponse(
        from_ms=question.span.start_ms, to_ms=question.span.end_ms, incomplete=question.settled_ms > now_ms
    )
    response.info.sampled = sampled
    for value, counts, sums, quantiles, entered, converted, *bars in rows:
        group = response.groups.add(steps=_steps(question, counts, sums, quantiles))
        if question.breakdown is not None:
            group.breakdown_value = str(value)
        group.trend.extend(_trend(question, _by_key(entered), _by_key(converted), now_ms))
        if len(counts) == len(question.steps):
            group.histogram.extend(_histogram(question, *bars[:3]))
    return response


def _steps(
    question: FunnelQuestion, counts: Sequence[float], sums: Sequence[float], quantiles: Sequence[Sequence[float]]
) -> list[funnels_pb2.FunnelStep]:
    steps: list[funnels_pb2.FunnelStep] = []
    of_all = [float(count) for count in counts] + [0.0] * (len(question.steps) - len(counts))
    for place, (selector, count) in enumerate(zip(question.steps, of_all, strict=True)):
        any_order = f"{place + 1} of {len(question.steps)}"
        step = funnels_pb2.FunnelStep(label=any_order if question.order == "any" else selector.label, count=count)
        if of_all[0]:
            step.conversion_from_first = count / of_all[0]
        if place and of_all[place - 1]:
            step.conversion_from_previous = count / of_all[place - 1]
        if place and count:
            step.average_ms = sums[place - 1] / count
            step.median_ms, step.p90_ms = quantiles[place - 1]
        steps.append(step)
    return steps


def _by_key(columns: tuple[Sequence[int], Sequence[float]]) -> Mapping[int, float]:
    return {int(key): float(value) for key, value in zip(*columns, strict=True)}


def _trend(
    question: FunnelQuestion, entered: Mapping[int, float], converted: Mapping[int, float], now_ms: int
) -> list[funnels_pb2.FunnelPoint]:
    points: list[funnels_pb2.FunnelPoint] = []
    if question.trend is None:
        return points
    for index, start in enumerate(question.trend.starts):
        over = min(question.trend.end_of(index), question.span.end_ms) + question.window_ms
        here = entered.get(start, 0.0)
        through = converted.get(start, 0.0)
        point = funnels_pb2.FunnelPoint(start_ms=start, entered=here, converted=through, incomplete=over > now_ms)
        if here:
            point.conversion = through / here
        points.append(point)
    return points


def _histogram(
    question: FunnelQuestion, counted: tuple[Sequence[int], Sequence[float]], shortest: int, width: int
) -> list[funnels_pb2.FunnelBar]:
    counts = _by_key(counted)
    return [
        funnels_pb2.FunnelBar(
            from_ms=shortest + width * number, to_ms=shortest + width * (number + 1), count=counts.get(number, 0.0)
        )
        for number in range(question.bars)
    ]
