"""Who would be in a cohort: how many, and some of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from obc.query.v1 import cohort_pb2
from obc_query.asker import Asker
from obc_query.cohorts.definition import Definition, is_moving
from obc_query.cohorts.people import cohort_conditions
from obc_query.cohorts.reading import read_definition
from obc_query.engine import Row
from obc_query.insights.insight import Insight
from obc_query.questions.expressions import weight
from obc_query.questions.sampling import answer_sampled_or_not
from obc_query.ranges import TimeRange
from obc_query.statement import Binder, Events, Select, Statement, in_cohort

_THIS = UUID(int=0)
_SAMPLE = 10
_FOR_EVER = 1 << 62


@dataclass(frozen=True, slots=True)
class PreviewQuestion:
    """Who belongs to a definition."""

    definition: Definition

    @property
    def span(self) -> TimeRange:
        """None: all that is kept counts."""
        return TimeRange(0, 0)

    @property
    def settled_ms(self) -> int:
        """Never, where it is about the last days."""
        return _FOR_EVER if is_moving(self.definition) else 0


def read(request: cohort_pb2.PreviewCohortRequest, now_ms: int) -> PreviewQuestion:
    """Checks a request. Raises InvalidArgument, naming the field."""
    return PreviewQuestion(read_definition(request.definition, "definition"))


async def answer(
    asker: Asker, tenant_id: str, question: PreviewQuestion, now_ms: int
) -> cohort_pb2.PreviewCohortResponse:
    """Asks the engine. Raises what the engine raises."""
    asker.cohorts = cohort_conditions({_THIS: question.definition}, now_ms)

    async def ask(sampled: bool) -> Sequence[Row]:
        return await asker.fetch(statement(tenant_id, sampled=sampled))

    [(people, person_ids)], sampled = await answer_sampled_or_not(asker, tenant_id, _MEMBERS, Binder(), ask)
    response = cohort_pb2.PreviewCohortResponse(people=people, person_ids=person_ids)
    response.info.sampled = sampled
    return response


_MEMBERS = Events(where=["person != ''", in_cohort(_THIS)])


def statement(tenant_id: str, *, sampled: bool) -> Statement:
    """One row: people, the first ids."""
    by_person = Select(
        columns=["person", f"min({weight(sampled=sampled)}) AS weight"], source=_MEMBERS, group_by=["person"]
    )
    select = Select(columns=["toFloat64(sum(weight))", f"groupArraySorted({_SAMPLE})(person)"], source=by_person)
    return Statement(tenant_id, "cohort_preview", select)


PREVIEW = Insight("PreviewCohort", cohort_pb2.PreviewCohortResponse, read, answer)
