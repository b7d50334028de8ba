"""Contents of requests, checked. Every mistake names its field."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import orjson

from obc.query.v1 import cohort_pb2, saved_pb2
from obc_common.errors import InvalidArgument
from obc_common.transcoding.decoding import merge_body, parse_object
from obc_query.cohorts.directory import definition_json
from obc_query.cohorts.reading import read_definition
from obc_query.cohorts.use import uses_of
from obc_query.insights.reading import read_count
from obc_query.insights.registry import INSIGHTS, request_type
from obc_query.ranges import parse_range, parse_timezone
from obc_query.saved.model import Content, name_key

MAX_DEFINITION_BYTES = 64 * 1024
MAX_COHORT_BYTES = 512 * 1024
MAX_TILES = 50
_MAX_NAME = 200
# Some letters are many when they are compared; an index and a page token hold so much of a name.
_MAX_NAME_KEY_BYTES = 1000
_MAX_DESCRIPTION = 2000
_MAX_TEXT = 5000
_COLUMNS = 12
_ROWS = 1000
_MAX_HEIGHT = 100
_MAX_HOURS = 87_600


def insight_content(name: str, description: str, kind: str, request_json: bytes, now_ms: int) -> Content:
    """The content of an insight. Its request is read as if it were asked now.

    Raises:
        InvalidArgument: BAD_NAME, BAD_DESCRIPTION, UNKNOWN_KIND, DEFINITION_TOO_LARGE, or what the insight says of its
            request, on `request.<field>`.
    """
    insight = INSIGHTS[check_kind(kind, required=True)]
    with _part("request"):
        body = parse_object(request_json)
        request = request_type(insight)()
        merge_body(request, body)
        cohorts: dict[UUID, str] = {}
        for use in uses_of(insight.read(request, now_ms)):
            cohorts.setdefault(UUID(use.cohort_id), f"request.{use.request_field}")
        definition = _definition(orjson.dumps(body), "")
    return Content(kind, _name(name), _description(description), definition, cohorts=cohorts)


def cohort_content(name: str, description: str, definition: cohort_pb2.CohortDefinition) -> Content:
    """The content of a cohort.

    Raises:
        InvalidArgument: BAD_NAME, BAD_DESCRIPTION, DEFINITION_TOO_LARGE, or what `read_definition` raises, on
            `definition.<field>`.
    """
    read_definition(definition, "definition")
    kept = _definition(definition_json(definition), "definition", MAX_COHORT_BYTES)
    return Content("", _name(name), _description(description), kept)


def check_kind(kind: str, *, required: bool = False) -> str:
    """The kind, empty for none. Raises InvalidArgument(UNKNOWN_KIND) unless there is such an insight."""
    if (kind or required) and kind not in INSIGHTS:
        raise InvalidArgument("UNKNOWN_KIND", f"kind is one of {', '.join(INSIGHTS)}", field="kind")
    return kind


def dashboard_content(
    name: str,
    description: str,
    tiles: Sequence[saved_pb2.DashboardTile],
    time_range: saved_pb2.DashboardTimeRange | None,
    now_ms: int,
) -> Content:
    """The content of a dashboard.

    Raises:
        InvalidArgument: BAD_NAME, BAD_DESCRIPTION, TOO_MANY_TILES, DEFINITION_TOO_LARGE, BAD_TILE, BAD_TITLE, BAD_TEXT,
            UNKNOWN_INSIGHT, OUT_OF_RANGE or TILES_OVERLAP on `tiles[i]`; BAD_RANGE, BAD_TIME or BAD_TIMEZONE on
            `time_range`.
    """
    if len(tiles) > MAX_TILES:
        raise InvalidArgument("TOO_MANY_TILES", f"a dashboard has at most {MAX_TILES} tiles", field="tiles")
    insights: dict[UUID, str] = {}
    written = []
    for index, tile in enumerate(tiles):
        with _part(f"tiles[{index}]"):
            written.append(_tile(tile))
        if tile.insight_id:
            insights.setdefault(UUID(tile.insight_id), f"tiles[{index}].insight_id")
    for index, tile in enumerate(tiles):
        for earlier in range(index):
            if _overlap(tile, tiles[earlier]):
                raise InvalidArgument(
                    "TILES_OVERLAP", f"tiles {earlier} and {index} lie on each other", field=f"tiles[{index}]"
                )
    definition: dict[str, Any] = {"tiles": written}
    if time_range is not None:
        with _part("time_range"):
            definition["time_range"] = _time_range(time_range, now_ms)
    return Content(
        "",
        _name(name),
        _description(description),
        _definition(orjson.dumps(definition), "tiles"),
        insights,
    )


def _tile(tile: saved_pb2.DashboardTile) -> dict[str, Any]:
    title = _text(tile.title, _MAX_NAME, "BAD_TITLE", "title", lines=False)
    text = _text(tile.text, _MAX_TEXT, "BAD_TEXT", "text")
    if tile.insight_id:
        if text:
            raise InvalidArgument("BAD_TILE", "a tile shows an insight or a text, not both", field="text")
        try:
            insight_id = str(UUID(tile.insight_id))
        except ValueError:
            raise InvalidArgument("UNKNOWN_INSIGHT", "there is no such saved insight", field="insight_id") from None
    elif not title and not text:
        raise InvalidArgument("BAD_TILE", "a tile shows an insight, or has a title or a text")
    else:
        insight_id = ""
    return {
        "insight_id": insight_id,
        "title": title,
        "text": text,
        "x": _between(tile.x, 0, _COLUMNS - 1, "x"),
        "y": _between(tile.y, 0, _ROWS - 1, "y"),
        "width": _between(tile.width, 1, _COLUMNS - tile.x, "width"),
        "height": _between(tile.height, 1, _MAX_HEIGHT, "height"),
    }


def _overlap(one: saved_pb2.DashboardTile, other: saved_pb2.DashboardTile) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def _time_range(message: saved_pb2.DashboardTimeRange, now_ms: int) -> dict[str, Any]:
    parse_timezone(message.timezone)
    if message.last_hours:
        if message.from_time or message.to_time:
            raise InvalidArgument("BAD_RANGE", "either last_hours, or from and to", field="last_hours")
        read_count(message.last_hours, 1, 1, _MAX_HOURS, "last_hours")
    else:
        parse_range(message.from_time, message.to_time, now_ms)
    return {
        "last_hours": message.last_hours,
        "from_time": message.from_time,
        "to_time": message.to_time,
        "timezone": message.timezone,
    }


def _name(text: str) -> str:
    name = _text(text, _MAX_NAME, "BAD_NAME", "name", lines=False).strip()
    if not name:
        raise InvalidArgument("BAD_NAME", "a name is needed", field="name")
    if len(name_key(name).encode()) > _MAX_NAME_KEY_BYTES:
        raise InvalidArgument("BAD_NAME", "the name is too long when it is compared", field="name")
    return name


def _description(text: str) -> str:
    return _text(text, _MAX_DESCRIPTION, "BAD_DESCRIPTION", "description")


def _text(text: str, most: int, reason: str, field: str, *, lines: bool = True) -> str:
    if len(text) > most:
        raise InvalidArgument(reason, f"{field} has at most {most} characters", field=field)
    allowed = "\n\t" if lines else ""
    if any((character < " " or character == "\x7f") and character not in allowed for character in text):
        raise InvalidArgument(reason, f"{field} has no control characters", field=field)
    return text


def _between(number: int, low: int, high: int, field: str) -> int:
    if not low <= number <= high:
        raise InvalidArgument("OUT_OF_RANGE", f"{field} is a number from {low} to {high}", field=field)
    return number


def _definition(definition: bytes, field: str, most: int = MAX_DEFINITION_BYTES) -> bytes:
    if len(definition) > most:
        raise InvalidArgument("DEFINITION_TOO_LARGE", f"at most {most} bytes of JSON", field=field)
    return definition


@contextmanager
def _part(part: str) -> Iterator[None]:
    """What is wrong inside is wrong with a field of a part of the request."""
    try:
        yield
    except InvalidArgument as error:
        field = f"{part}.{error.field}" if error.field else part
        raise InvalidArgument(error.reason, error.message, field=field, metadata=error.metadata) from error
