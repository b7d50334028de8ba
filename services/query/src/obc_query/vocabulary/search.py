"""What the questions about names share: the text searched for, the range, the limit."""

from dataclasses import dataclass

from obc_common.errors import InvalidArgument
from obc_query.insights.reading import read_count
from obc_query.ranges import TimeRange, parse_range
from obc_query.statement import Binder

_DEFAULT_LENGTH_MS = 30 * 24 * 3_600_000
_DEFAULT_LIMIT = 100
_MAX_LIMIT = 1000
_MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class Search:
    """Names that are looked for.

    Attributes:
        text: in the name, whatever its case; empty = every name.
        span: of the events.
        limit: most names to answer.
    """

    text: str
    span: TimeRange
    limit: int

    def matches(self, name: str, binder: Binder) -> str:
        """The condition that a name (an expression) is looked for."""
        if not self.text:
            return "true"
        return f"positionCaseInsensitiveUTF8({name}, {binder.bind(self.text, 'String')}) > 0"

    def first(self, name: str, binder: Binder) -> list[str]:
        """The order in which names that begin with the text come first."""
        if not self.text:
            return []
        return [f"positionCaseInsensitiveUTF8({name}, {binder.bind(self.text, 'String')}) = 1 DESC"]


def read_search(text: str, from_time: str, to_time: str, limit: int, now_ms: int) -> Search:
    """Raises InvalidArgument: BAD_SEARCH, BAD_TIME, BAD_RANGE, OUT_OF_RANGE."""
    if len(text) > _MAX_TEXT:
        raise InvalidArgument("BAD_SEARCH", f"the text has at most {_MAX_TEXT} characters", field="q")
    return Search(
        text,
        parse_range(from_time, to_time, now_ms, length_ms=_DEFAULT_LENGTH_MS),
        read_count(limit, _DEFAULT_LIMIT, 1, _MAX_LIMIT, "limit"),
    )
