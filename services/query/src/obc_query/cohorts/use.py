"""Where a question names a cohort."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any
from uuid import UUID

from obc_common.errors import InvalidArgument
from obc_query.buckets import Buckets
from obc_query.statement import in_cohort


@dataclass(frozen=True, slots=True)
class CohortUse:
    """A cohort that a question names.

    Attributes:
        cohort_id: which.
        request_field: where the request says so. Two uses of a cohort are the same wherever they are.
    """

    cohort_id: str
    request_field: str = field(compare=False)

    @property
    def condition(self) -> str:
        """The condition that an event's person is in it; an event of nobody meets it never."""
        return in_cohort(UUID(self.cohort_id))


def read_use(cohort_id: str, request_field: str) -> CohortUse:
    """A use by the id of a request. Raises InvalidArgument(UNKNOWN_COHORT) on the field when it can be none."""
    try:
        return CohortUse(str(UUID(cohort_id)), request_field)
    except ValueError:
        raise unknown_cohort(request_field) from None


def unknown_cohort(request_field: str) -> InvalidArgument:
    """What a cohort that is not there is answered with."""
    return InvalidArgument("UNKNOWN_COHORT", "there is no such cohort", field=request_field)


def uses_of(part: Any) -> Iterator[CohortUse]:
    """The uses in a question or a part of one, in their order."""
    if isinstance(part, CohortUse):
        yield part
    elif isinstance(part, Buckets):
        return  # thousands of numbers
    elif isinstance(part, Mapping):
        for member in part.values():
            yield from uses_of(member)
    elif isinstance(part, tuple | list):
        for member in part:
            yield from uses_of(member)
    elif is_dataclass(part):
        for member in fields(part):
            yield from uses_of(getattr(part, member.name))
