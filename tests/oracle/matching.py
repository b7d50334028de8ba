"""Which events a filter or a selector of a request means, one event at a time."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from tests.support.stored_events import Stored

_ABSENT = object()
_ORDER = {
    "gt": lambda left, right: left > right,
    "gte": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "lte": lambda left, right: left <= right,
}


def person(event: Stored) -> str:
    """Whose event it is; empty = nobody's."""
    return event.user or event.owner or event.anonymous or event.session or ""


def weight(event: Stored) -> float:
    """How many events it stands for."""
    return 1 / event.sample_rate


def value_of(event: Stored, field: str) -> Any:
    """What the event has in a field, _ABSENT when nothing."""
    if field.startswith("properties."):
        key = field.removeprefix("properties.")
        value = event.properties.get(key, _ABSENT)
        # An object is no value; its members are.
        return _ABSENT if value is None or isinstance(value, dict) else value
    columns = {
        "event_name": event.name,
        "event_category": event.category,
        "user_id": event.user,
        "anonymous_id": event.anonymous,
        "session_id": event.session,
        "page_url": event.page_url,
        "page_path": (urlsplit(event.page_url).path or "/") if event.page_url else None,
        "referrer": event.referrer,
        "sample_rate": event.sample_rate,
    }
    value = event.device.get(field.removeprefix("device_info.")) if field not in columns else columns[field]
    return _ABSENT if value in (None, "") else value


def has_value(event: Stored, field: str) -> bool:
    """Whether the event has anything in a field."""
    return value_of(event, field) is not _ABSENT


def kind(value: Any) -> str:
    """Values of different kinds are never equal and never ordered."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "other"


def label_of(event: Stored, field: str) -> str:
    """The value of a breakdown."""
    if field.startswith("cohort:"):
        return "in" if field.removeprefix("cohort:") in event.cohorts else "out"
    value = value_of(event, field)
    if value is _ABSENT:
        return "$none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def meets(event: Stored, wanted: dict[str, Any]) -> bool:
    """Whether an event meets a filter."""
    if "all" in wanted:
        return all(meets(event, one) for one in wanted["all"])
    if "any" in wanted:
        return any(meets(event, one) for one in wanted["any"])
    if "none" in wanted:
        return not any(meets(event, one) for one in wanted["none"])
    if "cohort" in wanted:
        return wanted["cohort"] in event.cohorts
    value, operator = value_of(event, wanted["field"]), wanted["op"]
    values = wanted.get("values", [])
    if operator in ("exists", "not_exists"):
        return bool((value is not _ABSENT) == (operator == "exists"))
    if operator in ("eq", "neq"):
        equal = value is not _ABSENT and any(kind(one) == kind(value) and one == value for one in values)
        return bool(equal == (operator == "eq"))
    [one] = values
    if value is _ABSENT or kind(value) != kind(one):
        return False
    if operator == "contains":
        return str(one) in str(value)
    if operator == "starts_with":
        return str(value).startswith(str(one))
    return bool(_ORDER[operator](value, one))


def selects(event: Stored, selector: dict[str, Any]) -> bool:
    """Whether a selector means an event."""
    names = selector.get("names")
    return (not names or event.name in names) and ("filter" not in selector or meets(event, selector["filter"]))


def in_range(events: Iterable[Stored], body: dict[str, Any]) -> list[Stored]:
    """The events of a request's range that meet its filter, by time."""
    return sorted(
        (
            event
            for event in events
            if int(body["from"]) <= event.at < int(body["to"])
            and ("filter" not in body or meets(event, body["filter"]))
        ),
        key=lambda event: (event.at, event.event_id.int),
    )
