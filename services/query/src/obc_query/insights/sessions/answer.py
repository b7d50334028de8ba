"""The report on sessions, from rows to messages."""

from collections.abc import Mapping, Sequence

from obc.query.v1 import activity_pb2
from obc_query.asker import Asker
from obc_query.engine import Row
from obc_query.insights.sessions import statements
from obc_query.insights.sessions.question import SessionsQuestion
from obc_query.questions.expressions import OTHER
from obc_query.questions.sampling import answer_sampled_or_not
from obc_query.statement import Binder, Events

_WHOLE = -1
_Numbers = Mapping[tuple[str, int], Sequence[float]]
"""(value of the breakdown, start of the bucket or _WHOLE) -> numbers."""


async def answer(
    asker: Asker, tenant_id: str, question: SessionsQuestion, now_ms: int
) -> activity_pb2.QuerySessionsResponse:
    """Asks the engine. Raises what the engine raises."""
    binder = Binder()
    span = question.span
    # A session that starts in the range has an event in it.
    events = Events(binder.moment(span.start_ms), binder.moment(span.end_ms), ["session_id != ''"])

    async def ask(sampled: bool) -> activity_pb2.QuerySessionsResponse:
        return await _report(asker, tenant_id, question, now_ms, sampled=sampled)

    response, sampled = await answer_sampled_or_not(asker, tenant_id, events, binder, ask)
    response.info.sampled = sampled
    return response


async def _report(
    asker: Asker, tenant_id: str, question: SessionsQuestion, now_ms: int, *, sampled: bool
) -> activity_pb2.QuerySessionsResponse:
    top: list[str] | None = None
    if question.breakdown is not None:
        found = await asker.fetch(statements.top_values(tenant_id, question, question.breakdown, sampled=sampled))
        top = [str(row[0]) for row in found[: question.values]]
    rows, pages = await asker.fetch_all(
        [
            statements.numbers(tenant_id, question, top, sampled=sampled),
            statements.pages(tenant_id, question, sampled=sampled),
        ]
    )
    numbers: _Numbers = {
        (str(value), _WHOLE if whole else int(bucket)): row
        for whole, everything, value, bucket, *row in rows
        if not everything
    }
    response = activity_pb2.QuerySessionsResponse(from_ms=question.span.start_ms, to_ms=question.span.end_ms)
    labels = [""] if top is None else [*top, *([OTHER] if (OTHER, _WHOLE) in numbers and OTHER not in top else [])]
    for label in labels:
        group = response.groups.add(total=_numbers(numbers.get((label, _WHOLE))))
        if top is not None:
            group.breakdown_value = label
        _add_points(group, label, numbers, question, now_ms)
    for kind, target in (("entry", response.entry_pages), ("exit", response.exit_pages)):
        for of, path, sessions, bounces in pages:
            if of == kind:
                target.add(path=path, sessions=sessions, bounce_rate=bounces / sessions)
    return response


def _add_points(
    group: activity_pb2.SessionsGroup, label: str, numbers: _Numbers, question: SessionsQuestion, now_ms: int
) -> None:
    buckets = question.window.buckets
    for index, start in enumerate(buckets.starts):
        incomplete = buckets.end_of(index) > now_ms
        point = group.points.add(start_ms=start, incomplete=incomplete)
        found = numbers.get((label, start))
        if found is not None or not incomplete:
            point.numbers.CopyFrom(_numbers(found))
        else:
            point.numbers.SetInParent()  # there, and nothing is said: what is not over is never zero


def _numbers(row: Row | None) -> activity_pb2.SessionNumbers:
    if row is None or not row[0]:
        return activity_pb2.SessionNumbers(sessions=0)
    sessions, duration, median, p90, bounces, views, events = (float(number) for number in row)
    return activity_pb2.SessionNumbers(
        sessions=sessions,
        average_duration_ms=duration / sessions,
        median_duration_ms=median,
        p90_duration_ms=p90,
        bounce_rate=bounces / sessions,
        pages_per_session=views / sessions,
        events_per_session=events / sessions,
    )
