"""Which fields events have: the built-in ones, and properties with their types, values, and when they were seen."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf import struct_pb2

from obc.query.v1 import schema_pb2
from obc_common.errors import InvalidArgument
from obc_query.asker import Asker
from obc_query.engine import Row
from obc_query.fields import BUILT_IN_FIELDS, PROPERTY_PREFIX, Field
from obc_query.insights.reading import MAX_NAME
from obc_query.questions.sampling import answer_sampled_or_not
from obc_query.ranges import TimeRange
from obc_query.statement import Binder
from obc_query.vocabulary.fields_seen import MAX_MEMBERS, MAX_VALUES, built_in, properties
from obc_query.vocabulary.sample import Sample, choose, counts, range_events
from obc_query.vocabulary.search import Search, read_search

_COLUMNS_OF_A_FIELD = 4


@dataclass(frozen=True, slots=True)
class PropertyNamesQuestion:
    """Names of fields that are looked for.

    Attributes:
        search: which.
        event_name: of which events; empty = all.
    """

    search: Search
    event_name: str

    @property
    def span(self) -> TimeRange:
        """The range asked for."""
        return self.search.span

    @property
    def settled_ms(self) -> int:
        """Nothing changes with time alone."""
        return 0

    @property
    def fields(self) -> tuple[Field, ...]:
        """The built-in fields that are looked for."""
        return tuple(field for field in BUILT_IN_FIELDS if self.search.text.lower() in field.name)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a sample has shown: rows of `properties` and the row of `built_in`."""

    sample: Sample
    properties: Sequence[Row]
    built_in: Row


def read(request: schema_pb2.ListPropertyNamesRequest, now_ms: int) -> PropertyNamesQuestion:
    """Checks a request. Raises InvalidArgument, naming the field."""
    if len(request.event_name) > MAX_NAME:
        raise InvalidArgument("BAD_EVENT_NAME", f"an event name has 1 to {MAX_NAME} characters", field="event_name")
    search = read_search(request.q, request.from_time, request.to_time, request.limit, now_ms)
    return PropertyNamesQuestion(search, request.event_name)


async def answer(
    asker: Asker, tenant_id: str, question: PropertyNamesQuestion, now_ms: int
) -> schema_pb2.ListPropertyNamesResponse:
    """Asks the engine. Raises what the engine raises."""

    async def ask(sampled: bool) -> _Seen:
        names = await asker.fetch(counts(tenant_id, question.span, question.event_name, sampled=sampled))
        sample = choose(question.span, question.event_name, names)
        found, [fields] = await asker.fetch_all(
            [
                properties(tenant_id, sample, question.search, sampled=sampled),
                built_in(tenant_id, sample, question.fields, sampled=sampled),
            ]
        )
        return _Seen(sample, found, fields)

    binder = Binder()
    events = range_events(question.span, question.event_name, binder)
    seen, sampled = await answer_sampled_or_not(asker, tenant_id, events, binder, ask)
    response = _response(question, seen)
    response.info.sampled = sampled
    return response


def _response(question: PropertyNamesQuestion, seen: _Seen) -> schema_pb2.ListPropertyNamesResponse:
    examined, weight, *columns = seen.built_in
    # What the sample stands for is near what there is; what all events have shall be as frequent as events.
    scale = 1.0 if seen.sample.complete or not weight else seen.sample.weight_total / weight
    members = seen.properties[0][3] if seen.properties else 0
    fields = [
        _built_in_field(field, columns[at * _COLUMNS_OF_A_FIELD :], scale) for at, field in enumerate(question.fields)
    ]
    found = _property_fields(seen.properties[1:], scale)
    limit = question.search.limit
    return schema_pb2.ListPropertyNamesResponse(
        fields=fields,
        properties=found[:limit],
        truncated=len(found) > limit,
        estimated=not seen.sample.complete or members >= MAX_MEMBERS,
        events_total=seen.sample.events_total,
        events_examined=examined,
        from_ms=question.span.start_ms,
        to_ms=question.span.end_ms,
    )


def _built_in_field(field: Field, columns: Row, scale: float) -> schema_pb2.SchemaField:
    weight, first_ms, last_ms, values = columns[:_COLUMNS_OF_A_FIELD]
    type_ = "number" if field.text is None else "string"
    events = _count(weight, scale)
    message = schema_pb2.SchemaField(
        name=field.name,
        types=[schema_pb2.FieldType(type=type_, events=events)],
        events=events,
        sample_values=struct_pb2.ListValue(values=[_value(type_, text) for text in values]),
    )
    if weight:
        message.first_seen_ms, message.last_seen_ms = first_ms, last_ms
    return message


def _property_fields(rows: Sequence[Row], scale: float) -> list[schema_pb2.SchemaField]:
    by_key: dict[str, list[Row]] = {}
    for row in rows:
        by_key.setdefault(row[1], []).append(row)
    return [_property_field(key, of_key, scale) for key, of_key in by_key.items()]


def _property_field(key: str, rows: Sequence[Row], scale: float) -> schema_pb2.SchemaField:
    """The rows are one per type."""
    values = sorted((*value, type_) for _, _, type_, _, _, _, _, pairs in rows for value in pairs)
    return schema_pb2.SchemaField(
        name=PROPERTY_PREFIX + key,
        types=[schema_pb2.FieldType(type=row[2], events=_count(row[4], scale)) for row in rows],
        events=_count(sum(row[4] for row in rows), scale),
        first_seen_ms=min(row[5] for row in rows),
        last_seen_ms=max(row[6] for row in rows),
        sample_values=struct_pb2.ListValue(values=[_value(type_, text) for _, text, type_ in values[:MAX_VALUES]]),
    )


def _count(weight: float, scale: float) -> float:
    """A count, as it is where all were looked at, else rounded: parts of an event would look exact."""
    return weight if scale == 1.0 else float(round(weight * scale))


def _value(type_: str, text: str) -> struct_pb2.Value:
    if type_ == "number":
        return struct_pb2.Value(number_value=float(text))
    if type_ == "boolean":
        return struct_pb2.Value(bool_value=text == "true")
    return struct_pb2.Value(string_value=text)
