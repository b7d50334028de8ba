"""Questions of a query builder: which events and which properties there have been in 29 days."""

from collections.abc import Sequence
from math import ceil

from bench.query_question import Days, Figures, People, Question, Rows, Span, call, in_order
from obc.query.v1 import schema_pb2
from obc_query.fields import BUILT_IN_FIELDS

_BLOCK_ROWS, _BLOCKS, _SAMPLE_ROWS = 8192, 24, 24_576
_MS = "toUnixTimestamp64Milli(event_time)"


def vocabulary(days: Days, people: People, events: int) -> list[Question]:
    """Names and fields. `events`: about how many of the tenant there are in the range."""
    month = days.span(29)
    return [
        Question(
            "schema: events",
            call("ListEventNames", schema_pb2.ListEventNamesRequest(), month.request),
            [
                f"SELECT event_name, count(), uniqCombined64({people.ch}), min(event_time), max(event_time) "
                f"FROM {people.ch_events} WHERE {month.ch} GROUP BY event_name"
            ],
            [
                f"SELECT event_name, count(*), count(DISTINCT {people.pg}), min(event_time), max(event_time) "
                f"FROM {people.pg_events} WHERE {month.pg} GROUP BY event_name"
            ],
            said=lambda answer: in_order([name.events for name in answer.events]),
            told=lambda rows_of: in_order([row[1] for row in rows_of[0]]),
        ),
        Question(
            "schema: properties",
            call("ListPropertyNames", schema_pb2.ListPropertyNamesRequest(), month.request),
            _properties(month, events),
            [
                "SELECT key, jsonb_typeof(value), count(*), min(event_time), max(event_time) "
                f"FROM analytics_events, jsonb_each(properties) WHERE {month.pg} GROUP BY 1, 2"
            ],
            said=lambda answer: [len(answer.properties)],
            told=_names,
        ),
    ]  # fmt: skip


def _properties(month: Span, events: int) -> list[str]:
    """A sample of blocks of rows, as the service takes one: to read the properties of all events takes seconds."""
    blocks = ceil(events / _BLOCK_ROWS / _BLOCKS)
    rows = ceil(events / blocks / _SAMPLE_ROWS)
    sample = f"(intDiv(_part_offset, {_BLOCK_ROWS}) + _part_index) % {blocks} = 0 AND _part_offset % {rows} = 0"
    fields = ", ".join(
        f"countIf({field.exists}), minIf({_MS}, {field.exists}), maxIf({_MS}, {field.exists}), "
        f"approx_top_kIf(10, 256)(ifNull({field.label}, ''), {field.exists})"
        for field in BUILT_IN_FIELDS
    )
    return [
        f"SELECT count() FROM events WHERE {month.ch}",
        f"SELECT m.1 AS key, m.2 AS type, sum(n), min(f), max(l), groupArraySorted(10)((-n, m.3)) FROM ("
        f"SELECT arrayJoin(arrayZip(mapKeys(JSONAllPathsWithTypes(properties) AS p), mapValues(p), "
        f"JSONAllValues(properties))) AS m, count() AS n, min({_MS}) AS f, max({_MS}) AS l FROM events "
        f"WHERE {month.ch} AND {sample} GROUP BY m) GROUP BY key, type",
        f"SELECT count(), {fields} FROM events WHERE {month.ch} AND {sample}",
    ]


def _names(rows_of: Sequence[Rows]) -> Figures:
    rows = rows_of[1] if len(rows_of) > 1 else rows_of[0]
    return [float(len({row[0] for row in rows}))]
