"""Which names events have, how often, by how many people and when. One pass over three narrow columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from obc.query.v1 import schema_pb2
from obc_query.asker import Asker
from obc_query.engine import Row
from obc_query.questions.expressions import EVENT_MS, people, weight
from obc_query.questions.sampling import answer_sampled_or_not
from obc_query.ranges import TimeRange
from obc_query.statement import Binder, Events, Select, Statement
from obc_query.vocabulary.search import Search, read_search


@dataclass(frozen=True, slots=True)
class EventNamesQuestion:
    """Names of events that are looked for."""

    search: Search

    @property
    def span(self) -> TimeRange:
        """The range asked for."""
        return self.search.span

    @property
    def settled_ms(self) -> int:
        """Nothing changes with time alone."""
        return 0


def read(request: schema_pb2.ListEventNamesRequest, now_ms: int) -> EventNamesQuestion:
    """Checks a request. Raises InvalidArgument, naming the field."""
    return EventNamesQuestion(read_search(request.q, request.from_time, request.to_time, request.limit, now_ms))


async def answer(
    asker: Asker, tenant_id: str, question: EventNamesQuestion, now_ms: int
) -> schema_pb2.ListEventNamesResponse:
    """Asks the engine. Raises what the engine raises."""
    binder = Binder()

    async def ask(sampled: bool) -> Sequence[Row]:
        return await asker.fetch(statement(tenant_id, question, sampled=sampled))

    rows, sampled = await answer_sampled_or_not(asker, tenant_id, _events(question, binder), binder, ask)
    limit = question.search.limit
    response = schema_pb2.ListEventNamesResponse(
        truncated=len(rows) > limit, from_ms=question.span.start_ms, to_ms=question.span.end_ms
    )
    for name, events, users, first_ms, last_ms in rows[:limit]:
        response.events.add(event_name=name, events=events, users=users, first_seen_ms=first_ms, last_seen_ms=last_ms)
    response.info.sampled = sampled
    return response


def statement(tenant_id: str, question: EventNamesQuestion, *, sampled: bool) -> Statement:
    """Rows: name, events, people, first and last; one more than asked for tells whether there are more."""
    binder = Binder()
    # To tell two hundred thousand people apart for every name costs several times what the rest does, so people are
    # estimated, except where each has a weight that must be known.
    users = people("true", sampled=True) if sampled else "toFloat64(uniqCombined64If(person, person != ''))"
    select = Select(
        columns=[
            "toString(event_name) AS name",
            f"toFloat64(sum({weight(sampled=sampled)})) AS events",
            users,
            f"min({EVENT_MS})",
            f"max({EVENT_MS})",
        ],
        source=_events(question, binder, question.search.matches("event_name", binder)),
        group_by=["event_name"],
        order_by=[*question.search.first("name", binder), "events DESC", "name"],
        limit=question.search.limit + 1,
    )
    return Statement(tenant_id, "event_names", select, binder)


def _events(question: EventNamesQuestion, binder: Binder, *further: str) -> Events:
    where = [condition for condition in further if condition != "true"]
    return Events(binder.moment(question.span.start_ms), binder.moment(question.span.end_ms), where)
