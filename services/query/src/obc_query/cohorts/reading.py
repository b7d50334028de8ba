"""Definitions of requests, checked. Every mistake names its field."""

from typing import Literal

from obc.query.v1 import cohort_pb2
from obc_common.errors import InvalidArgument
from obc_query.cohorts.definition import (
    DAY_MS,
    Combination,
    Definition,
    Having,
    Performed,
    Sequence,
    Static,
    Window,
    conditions_of,
)
from obc_query.cohorts.use import uses_of
from obc_query.insights.reading import read_choice, read_comparison, read_count, read_selector
from obc_query.ranges import check_order, parse_moment

MAX_DEPTH = 5
MAX_CONDITIONS = 30
MAX_PEOPLE = 10_000
_MAX_ID = 200
_MAX_COUNT = 1_000_000
_MAX_DAYS = 3_660
_COMBINATIONS: tuple[Literal["all", "any", "none"], ...] = ("all", "any", "none")
_CONDITIONS: tuple[Literal["performed", "property", "sequence", "static"], ...] = (
    "performed",
    "property",
    "sequence",
    "static",
)
_OPS: tuple[Literal["at_least", "exactly", "at_most"], ...] = ("at_least", "exactly", "at_most")
_SELECTORS = (2, 5)


def read_definition(message: cohort_pb2.CohortDefinition, field: str) -> Definition:
    """Checks a definition.

    Raises:
        InvalidArgument: BAD_COHORT, COHORT_IN_COHORT, UNKNOWN_CHOICE, OUT_OF_RANGE, BAD_TIME, BAD_RANGE, BAD_PERSON_ID,
            BAD_SEQUENCE, and what a selector or a comparison raises.
    """
    definition = _read(message, field, MAX_DEPTH)
    if len(list(conditions_of(definition))) > MAX_CONDITIONS:
        raise InvalidArgument("BAD_COHORT", f"at most {MAX_CONDITIONS} conditions", field=field)
    for use in uses_of(definition):
        raise InvalidArgument("COHORT_IN_COHORT", "a cohort is not made of cohorts", field=use.request_field)
    return definition


def _read(message: cohort_pb2.CohortDefinition, field: str, depth: int) -> Definition:
    if depth == 0:
        raise InvalidArgument("BAD_COHORT", f"definitions are at most {MAX_DEPTH} deep", field=field)
    combinations = [kind for kind in _COMBINATIONS if getattr(message, kind)]
    conditions = [kind for kind in _CONDITIONS if message.HasField(kind)]
    if len(combinations) + len(conditions) != 1:
        forms = ", ".join((*_COMBINATIONS, *_CONDITIONS))
        raise InvalidArgument("BAD_COHORT", f"a definition is one of: {forms}", field=field)
    for kind in combinations:
        members = enumerate(getattr(message, kind))
        return Combination(kind, tuple(_read(one, f"{field}.{kind}[{i}]", depth - 1) for i, one in members))
    if message.HasField("performed"):
        return _performed(message.performed, f"{field}.performed")
    if message.HasField("property"):
        return Having(read_comparison(message.property, f"{field}.property"))
    if message.HasField("sequence"):
        return _sequence(message.sequence, f"{field}.sequence")
    return _static(message.static, f"{field}.static")


def _performed(message: cohort_pb2.CohortPerformed, field: str) -> Performed:
    count = message.count if message.HasField("count") else 1
    if not 0 <= count <= _MAX_COUNT:
        raise InvalidArgument("OUT_OF_RANGE", f"count is a number from 0 to {_MAX_COUNT}", field=f"{field}.count")
    op = read_choice(message.op, _OPS, f"{field}.op")
    return Performed(
        read_selector(message.event, f"{field}.event"),
        next(known for known in _OPS if known == op),
        count,
        _window(message.window, f"{field}.window"),
    )


def _sequence(message: cohort_pb2.CohortSequence, field: str) -> Sequence:
    fewest, most = _SELECTORS
    if not fewest <= len(message.events) <= most:
        raise InvalidArgument("BAD_SEQUENCE", f"a sequence has {fewest} to {most} events", field=f"{field}.events")
    return Sequence(
        tuple(read_selector(event, f"{field}.events[{index}]") for index, event in enumerate(message.events)),
        read_count(message.within_ms, 7 * DAY_MS, 1, 366 * DAY_MS, f"{field}.within_ms"),
        _window(message.window, f"{field}.window"),
    )


def _static(message: cohort_pb2.CohortStatic, field: str) -> Static:
    ids = message.person_ids
    if not 1 <= len(ids) <= MAX_PEOPLE:
        raise InvalidArgument("OUT_OF_RANGE", f"1 to {MAX_PEOPLE} people", field=f"{field}.person_ids")
    for index, person_id in enumerate(ids):
        if not 0 < len(person_id) <= _MAX_ID:
            raise InvalidArgument(
                "BAD_PERSON_ID", f"an id has 1 to {_MAX_ID} characters", field=f"{field}.person_ids[{index}]"
            )
    return Static(tuple(dict.fromkeys(ids)))


def _window(message: cohort_pb2.CohortWindow, field: str) -> Window:
    if message.last_days:
        if message.from_time or message.to_time:
            raise InvalidArgument("BAD_RANGE", "either last_days, or from and to", field=f"{field}.last_days")
        return Window(read_count(message.last_days, 1, 1, _MAX_DAYS, f"{field}.last_days"))
    start_ms = parse_moment(message.from_time, f"{field}.from") if message.from_time else None
    end_ms = parse_moment(message.to_time, f"{field}.to") if message.to_time else None
    if start_ms is not None and end_ms is not None:
        check_order(start_ms, end_ms, f"{field}.to")
    return Window(0, start_ms, end_ms)
