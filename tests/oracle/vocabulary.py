"""Names of properties as the contract says: every leaf of an object that a filter can name."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.stored_events import Stored


def property_names(events: list[Stored]) -> list[dict[str, Any]]:
    """The properties of some events, the most frequent first, without their values."""
    types: dict[str, Counter[str]] = defaultdict(Counter)
    moments: dict[str, list[int]] = defaultdict(list)
    for event in events:
        for path, value in _leaves(event.properties, ()):
            if (name := _name(path)) is not None:
                types[name][_type(value)] += 1
                moments[name].append(event.at)
    found = [
        {
            "name": name,
            "types": [
                {"type": type_, "events": events}
                for type_, events in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
            ],
            "events": sum(counted.values()),
            "first_seen": min(moments[name]),
            "last_seen": max(moments[name]),
        }
        for name, counted in types.items()
    ]
    return sorted(found, key=lambda item: (-int(str(item["events"])), str(item["name"]).encode()))


def values_of(events: list[Stored], name: str) -> Counter[tuple[str, Any]]:
    """How often a property had which values; arrays and long texts are not shown."""
    return Counter(
        (_type(value), value)
        for event in events
        for path, value in _leaves(event.properties, ())
        if _name(path) == name and not isinstance(value, list) and len(str(value)) <= 200
    )


def _leaves(members: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in members.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        elif value is not None:
            yield (*path, key), value


def _name(path: tuple[str, ...]) -> str | None:
    if len(path) == 1:
        return f"properties.{path[0]}" if path[0] else None
    if any(not key or "." in key for key in path):
        return None
    return "properties." + ".".join(path)


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "number"
