"""Names a caller may filter or split by, and the expressions they stand for: a closed set, plus any property.

A property may hold a string, a number or a boolean in different events. Each type is its own subcolumn in the engine,
so a field offers one expression per type (NULL where the value is of another type): a number never equals a string.
"""

from dataclasses import dataclass

from obc_common.errors import InvalidArgument
from obc_query.cohorts.use import CohortUse, read_use

PROPERTY_PREFIX = "properties."
COHORT_PREFIX = "cohort:"
MAX_PROPERTY_CHARS = 1024


@dataclass(frozen=True, slots=True)
class Field:
    """Expressions of one field; None where it never holds that type.

    Attributes:
        name: as the caller wrote it.
        text: its string value, NULL or '' when it has none.
        number: its numeric value as Nullable(Float64).
        boolean: its value as Nullable(Bool).
        exists: condition that it has a value at all.
        label: its value as text whatever its type, for breakdowns; NULL when it has none.
        cohort: which cohort it tells the people of from all others; None = it is a field of events.
    """

    name: str
    text: str | None
    number: str | None
    boolean: str | None
    exists: str
    label: str
    cohort: CohortUse | None = None


def _text_field(name: str, column: str) -> Field:
    return Field(name, column, None, None, f"{column} != ''", f"nullIf(toString({column}), '')")


def _number_field(name: str, column: str) -> Field:
    return Field(name, None, f"toFloat64({column})", None, f"{column} != 0", f"nullIf(toString({column}), '0')")


_TEXT_COLUMNS = {
    "event_name": "event_name",
    "event_category": "event_category",
    "user_id": "user_id",
    "anonymous_id": "anonymous_id",
    "session_id": "session_id",
    "page_url": "page_url",
    "page_path": "page_path",
    "referrer": "referrer",
    "referrer_host": "referrer_host",
    "device_info.device_type": "device_type",
    "device_info.browser": "browser",
    "device_info.browser_version": "browser_version",
    "device_info.os": "os",
    "device_info.os_version": "os_version",
    "device_info.language": "language",
    "device_info.timezone": "device_timezone",
}
_NUMBER_COLUMNS = {
    "device_info.screen_width": "screen_width",
    "device_info.screen_height": "screen_height",
    "device_info.viewport_width": "viewport_width",
    "device_info.viewport_height": "viewport_height",
    "sample_rate": "sample_rate",
}
_FIELDS = {name: _text_field(name, column) for name, column in _TEXT_COLUMNS.items()} | {
    name: _number_field(name, column) for name, column in _NUMBER_COLUMNS.items()
}

BUILT_IN_FIELDS = tuple(_FIELDS.values())
"""Every field of the event itself and of the device."""


def resolve_field(name: str, request_field: str) -> Field:
    """The field of a name.

    Args:
        name: an event field, `device_info.<field>`, or `properties.<key>`. A key with dots means the property of
            exactly that name where an event has one, else the nested value.
        request_field: the request's field to name in the error.

    Raises:
        InvalidArgument: UNKNOWN_FIELD.
    """
    if name.startswith(PROPERTY_PREFIX):
        key = name[len(PROPERTY_PREFIX) :]
        if 0 < len(key) <= MAX_PROPERTY_CHARS and "\x00" not in key:
            return _property_field(name, key)
    elif name in _FIELDS:
        return _FIELDS[name]
    raise InvalidArgument(
        "UNKNOWN_FIELD",
        "there is no such field; use an event field, device_info.<field> or properties.<key>",
        field=request_field,
    )


def resolve_breakdown(name: str, request_field: str) -> Field:
    """The field of a name to split by: one of events, or `cohort:<id>` with the values `in` and `out`.

    Raises:
        InvalidArgument: UNKNOWN_FIELD or UNKNOWN_COHORT.
    """
    if not name.startswith(COHORT_PREFIX):
        return resolve_field(name, request_field)
    use = read_use(name[len(COHORT_PREFIX) :], request_field)
    label = f"if({use.condition}, 'in', 'out')"
    return Field(name, label, None, None, "true", label, use)


def quote_key(key: str) -> str:
    """A property key as one quoted path segment.

    The engine keeps a dot of a key as %2E, which tells `a.b` from `b` in `a`; a key that holds the three characters %2E
    itself is therefore found under the same path as the key with the dot. What is stored and listed stays apart.
    """
    escaped = key.replace("\\", "\\\\").replace("`", "\\`").replace(".", "%2E")
    return f"`{escaped}`"


def property_text(key: str) -> str:
    """A property's value where it is a string, else NULL. For keys of ours."""
    return f"properties.{quote_key(key)}.:String"


def property_number(key: str) -> str:
    """A property's value where it is a number, else NULL. For keys of ours."""
    return _number_at(f"properties.{quote_key(key)}")


def _number_at(path: str) -> str:
    return f"coalesce({path}.:Float64, toFloat64({path}.:Int64), toFloat64({path}.:UInt64))"


def _property_field(name: str, key: str) -> Field:
    paths = [f"properties.{quote_key(key)}"]
    segments = key.split(".")
    if len(segments) > 1 and all(segments):
        paths.append("properties." + ".".join(quote_key(segment) for segment in segments))
    return Field(
        name=name,
        text=_first([f"{path}.:String" for path in paths]),
        number=_first([_number_at(path) for path in paths]),
        boolean=_first([f"{path}.:Bool" for path in paths]),
        exists=" OR ".join(f"isNotNull({path})" for path in paths),
        # toString alone makes '' of a property that is not there.
        label=_first([f"if(isNull({path}), NULL, toString({path}))" for path in paths]),
    )


def _first(expressions: list[str]) -> str:
    return expressions[0] if len(expressions) == 1 else f"coalesce({', '.join(expressions)})"
