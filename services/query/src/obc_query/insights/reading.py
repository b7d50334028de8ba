"""The parts that requests for insights share: messages in, checked questions out. Every mistake names its field."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from google.protobuf import struct_pb2

from obc.query.v1 import filter_pb2
from obc_common.errors import InvalidArgument
from obc_query.buckets import INTERVALS, Buckets, make_buckets
from obc_query.cohorts.use import read_use
from obc_query.comparison import MAX_VALUES, OPERATORS, Comparison, Value
from obc_query.fields import Field, resolve_breakdown, resolve_field
from obc_query.insights.filter_tree import Combination, Filter, Selector
from obc_query.ranges import TimeRange, parse_range, parse_timezone

MAX_NAMES = 100
MAX_FILTER_DEPTH = 8
MAX_COMPARISONS = 100
MAX_NAME = 200
_MAX_LABEL = 200
_KINDS: tuple[Literal["all", "any", "none"], ...] = ("all", "any", "none")
_WITHOUT_VALUES = ("exists", "not_exists")
_OF_STRINGS = ("contains", "starts_with")
_OF_MANY = ("eq", "neq")


@dataclass(frozen=True, slots=True)
class Window:
    """When a question is about, and how time is cut.

    Attributes:
        span: the range asked for.
        zone: of the buckets.
        interval: `minute`, `hour`, `day`, `week` or `month`.
        sunday_first: whether weeks start on Sunday.
        buckets: what covers the range.
    """

    span: TimeRange
    zone: ZoneInfo
    interval: str
    sunday_first: bool
    buckets: Buckets


def read_window(from_time: str, to_time: str, interval: str, timezone: str, week_start: str, now_ms: int) -> Window:
    """The range of a request and its buckets.

    Raises:
        InvalidArgument: BAD_TIME, BAD_RANGE, BAD_TIMEZONE, UNKNOWN_WEEK_START, UNKNOWN_INTERVAL, TOO_MANY_BUCKETS.
    """
    span = parse_range(from_time, to_time, now_ms)
    zone = parse_timezone(timezone)
    sunday_first = read_week_start(week_start)
    interval = interval or "day"
    return Window(span, zone, interval, sunday_first, make_buckets(span, interval, zone, sunday_first=sunday_first))


def read_people_window(
    from_time: str, to_time: str, interval: str, timezone: str, week_start: str, now_ms: int
) -> Window:
    """The same for questions about who comes back, which no minute answers.

    Raises:
        InvalidArgument: what `read_window` raises.
    """
    if interval == "minute":
        known = ", ".join(name for name in INTERVALS if name != "minute")
        raise InvalidArgument("UNKNOWN_INTERVAL", f"the interval must be one of {known}", field="interval")
    return read_window(from_time, to_time, interval, timezone, week_start, now_ms)


def read_week_start(text: str) -> bool:
    """True for Sunday. Raises InvalidArgument(UNKNOWN_WEEK_START)."""
    if text not in ("", "monday", "sunday"):
        raise InvalidArgument("UNKNOWN_WEEK_START", "a week starts on monday or sunday", field="week_start")
    return text == "sunday"


def read_choice(text: str, choices: tuple[str, ...], field: str) -> str:
    """One of `choices`; empty = the first. Raises InvalidArgument(UNKNOWN_CHOICE) on `field`."""
    if text and text not in choices:
        raise InvalidArgument("UNKNOWN_CHOICE", f"{field} is one of {', '.join(choices)}", field=field)
    return text or choices[0]


def read_count(number: int, default: int, low: int, high: int, field: str) -> int:
    """A number from `low` to `high`; 0 = the default. Raises InvalidArgument(OUT_OF_RANGE) on `field`."""
    number = number or default
    if not low <= number <= high:
        raise InvalidArgument("OUT_OF_RANGE", f"{field} is a number from {low} to {high}", field=field)
    return number


def read_fields(names: Sequence[str], most: int, field: str) -> tuple[Field, ...]:
    """Fields to split by.

    Raises:
        InvalidArgument: TOO_MANY_FIELDS, UNKNOWN_FIELD, UNKNOWN_COHORT or DUPLICATE_FIELD, on `field[i]`.
    """
    if len(names) > most:
        raise InvalidArgument("TOO_MANY_FIELDS", f"at most {most} fields", field=field)
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InvalidArgument("DUPLICATE_FIELD", f"{name[:64]} is named twice", field=f"{field}[{index}]")
    return tuple(resolve_breakdown(name, f"{field}[{index}]") for index, name in enumerate(names))


def read_selector(message: filter_pb2.EventSelector, field: str) -> Selector:
    """Raises InvalidArgument: BAD_EVENT_NAME, TOO_MANY_NAMES, BAD_LABEL, and what `read_filter` raises."""
    names = tuple(dict.fromkeys(message.names))
    if len(names) > MAX_NAMES:
        raise InvalidArgument("TOO_MANY_NAMES", f"at most {MAX_NAMES} event names", field=f"{field}.names")
    for index, name in enumerate(message.names):
        if not 0 < len(name) <= MAX_NAME:
            raise InvalidArgument(
                "BAD_EVENT_NAME", f"an event name has 1 to {MAX_NAME} characters", field=f"{field}.names[{index}]"
            )
    if len(message.label) > _MAX_LABEL:
        raise InvalidArgument("BAD_LABEL", f"a label has at most {_MAX_LABEL} characters", field=f"{field}.label")
    return Selector(
        names, read_optional_filter(message, f"{field}.filter"), message.label or ", ".join(names) or "any event"
    )


class _WithFilter(Protocol):
    @property
    def filter(self) -> filter_pb2.Filter: ...

    def HasField(self, field_name: Literal["filter"]) -> bool: ...  # protobuf's name


def read_optional_filter(message: _WithFilter, field: str) -> Filter | None:
    """The filter of a message that may have one, None when it has not. Raises what `read_filter` raises."""
    return read_filter(message.filter, field) if message.HasField("filter") else None


def read_filter(message: filter_pb2.Filter, field: str) -> Filter:
    """A filter of a request.

    Raises:
        InvalidArgument: BAD_FILTER, UNKNOWN_OPERATOR, UNKNOWN_FIELD, UNKNOWN_COHORT or TOO_MANY_FILTERS, naming the
            place, such as `filter.any[1].op`.
    """
    read, comparisons = _read(message, field, MAX_FILTER_DEPTH)
    if comparisons > MAX_COMPARISONS:
        raise InvalidArgument("TOO_MANY_FILTERS", f"at most {MAX_COMPARISONS} comparisons", field=field)
    return read


def _read(message: filter_pb2.Filter, field: str, depth: int) -> tuple[Filter, int]:
    if depth == 0:
        raise InvalidArgument("BAD_FILTER", f"filters are at most {MAX_FILTER_DEPTH} deep", field=field)
    kinds = [kind for kind in _KINDS if getattr(message, kind)]
    is_comparison = bool(message.field or message.op or message.HasField("values"))
    if len(kinds) + is_comparison + bool(message.cohort) != 1:
        raise InvalidArgument(
            "BAD_FILTER", "a filter is one of: field with op and values, cohort, all, any, none", field=field
        )
    if is_comparison:
        return read_comparison(message, field), 1
    if message.cohort:
        return read_use(message.cohort, f"{field}.cohort"), 1
    [kind] = kinds
    members = [
        _read(member, f"{field}.{kind}[{index}]", depth - 1) for index, member in enumerate(getattr(message, kind))
    ]
    return Combination(kind, tuple(member for member, _ in members)), sum(count for _, count in members)


class _Compares(Protocol):
    @property
    def field(self) -> str: ...

    @property
    def op(self) -> str: ...

    @property
    def values(self) -> struct_pb2.ListValue: ...


def read_comparison(message: _Compares, field: str) -> Comparison:
    """One comparison. Raises InvalidArgument: BAD_FILTER, UNKNOWN_OPERATOR or UNKNOWN_FIELD."""
    target = resolve_field(message.field, f"{field}.field")
    if message.op not in OPERATORS:
        raise InvalidArgument("UNKNOWN_OPERATOR", f"the operator is one of {', '.join(OPERATORS)}", field=f"{field}.op")
    values = tuple(_value(value, f"{field}.values[{index}]") for index, value in enumerate(message.values.values))
    most = 0 if message.op in _WITHOUT_VALUES else MAX_VALUES if message.op in _OF_MANY else 1
    if len(values) > most or (most and not values):
        wanted = {0: "no value", 1: "one value"}.get(most, f"1 to {most} values")
        raise InvalidArgument("BAD_FILTER", f"{message.op} takes {wanted}", field=f"{field}.values")
    if message.op in _OF_STRINGS and not isinstance(values[0], str):
        raise InvalidArgument("BAD_FILTER", f"{message.op} takes a string", field=f"{field}.values[0]")
    if most == 1 and isinstance(values[0], bool):
        raise InvalidArgument("BAD_FILTER", f"{message.op} takes a string or a number", field=f"{field}.values[0]")
    return Comparison(target, message.op, values)


def _value(value: struct_pb2.Value, field: str) -> Value:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        return value.number_value
    if kind == "bool_value":
        return value.bool_value
    raise InvalidArgument("BAD_FILTER", "a value is a string, a number, true or false", field=field)
