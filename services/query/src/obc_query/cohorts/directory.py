"""The cohorts that a question names, as they are when it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import orjson
from google.protobuf import json_format

from obc.query.v1 import cohort_pb2
from obc_common.errors import InvalidArgument
from obc_common.postgres import Pool, map_postgres_error, tenant_transaction
from obc_query.cohorts.definition import is_moving
from obc_query.cohorts.people import cohort_conditions
from obc_query.cohorts.reading import read_definition
from obc_query.cohorts.use import CohortUse, unknown_cohort, uses_of
from obc_query.saved import store
from obc_query.statement import CohortCondition

MOST_IN_A_QUESTION = 10


@dataclass(frozen=True, slots=True)
class KnownCohorts:
    """The cohorts of one question.

    Attributes:
        conditions: who is in them, by id.
        versions: id and version of each: another version is another question.
        moving: whether who is in them changes with time alone.
    """

    conditions: Mapping[str, CohortCondition] = field(default_factory=dict)
    versions: tuple[tuple[str, int], ...] = ()
    moving: bool = False


NO_COHORTS = KnownCohorts()


@dataclass(frozen=True, slots=True)
class CohortDirectory:
    """Finds cohorts for questions.

    Attributes:
        pool: of a role that may read them.
    """

    pool: Pool

    async def known(self, tenant_id: str, question: object, now_ms: int, part: str = "") -> KnownCohorts:
        """The cohorts that a question names.

        Args:
            tenant_id: who asks.
            question: checked.
            now_ms: the time now.
            part: of the request that the question is, with a dot; empty = it is the request.

        Raises:
            InvalidArgument: UNKNOWN_COHORT or TOO_MANY_COHORTS, on the field that names it.
        """
        uses: dict[str, CohortUse] = {}
        for use in uses_of(question):
            uses.setdefault(use.cohort_id, use)
        if not uses:
            return NO_COHORTS
        if len(uses) > MOST_IN_A_QUESTION:
            raise InvalidArgument(
                "TOO_MANY_COHORTS",
                f"a question names at most {MOST_IN_A_QUESTION} cohorts",
                field=part + list(uses.values())[MOST_IN_A_QUESTION].request_field,
            )
        try:
            async with tenant_transaction(self.pool, tenant_id, readonly=True) as connection:
                living = await store.living(connection, UUID(tenant_id), "cohort", [UUID(key) for key in uses])
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise map_postgres_error(error) from error
        for cohort_id, use in uses.items():
            if UUID(cohort_id) not in living:
                raise unknown_cohort(part + use.request_field)
        definitions = {
            item.id: read_definition(definition_message(item.definition), "definition")
            for item in sorted(living.values(), key=lambda item: item.id)
        }
        return KnownCohorts(
            cohort_conditions(definitions, now_ms),
            tuple((str(cohort_id), living[cohort_id].version) for cohort_id in definitions),
            any(is_moving(definition) for definition in definitions.values()),
        )


def definition_message(definition: bytes) -> cohort_pb2.CohortDefinition:
    """A kept definition as a message."""
    return json_format.ParseDict(orjson.loads(definition), cohort_pb2.CohortDefinition())


def definition_json(message: cohort_pb2.CohortDefinition) -> bytes:
    """A definition as it is kept."""
    return orjson.dumps(json_format.MessageToDict(message, preserving_proto_field_name=True))
