"""Names of metrics and what they measure."""

from dataclasses import dataclass
from enum import Enum

from obc_common.errors import InvalidArgument
from obc_query.filters import split_list

MAX_METRICS = 20
_PERCENTILES = {"p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
_MAX_ARGUMENT = 200


class Family(Enum):
    """Metrics that are computed together."""

    EVENTS = "events"
    """Sums over events: the whole is the sum of the buckets."""
    USERS = "users"
    SESSIONS = "sessions"
    PERFORMANCE = "performance"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as asked for.

    Attributes:
        name: as the caller wrote it.
        kind: `events`, `users`, ..., `percentile` or `count`.
        family: what it is computed with.
        unit: `count`, `ms`, `ratio` or `value`.
        argument: the event's name of a count, the measurement's name of a percentile.
        level: of a percentile, 0 to 1.
    """

    name: str
    kind: str
    family: Family
    unit: str
    argument: str = ""
    level: float = 0.0


_PLAIN = {
    "events": (Family.EVENTS, "count"),
    "page_views": (Family.EVENTS, "count"),
    "errors": (Family.EVENTS, "count"),
    "error_rate": (Family.EVENTS, "ratio"),
    "users": (Family.USERS, "count"),
    "sessions": (Family.SESSIONS, "count"),
    "avg_session_duration": (Family.SESSIONS, "ms"),
    "bounce_rate": (Family.SESSIONS, "ratio"),
    "pages_per_session": (Family.SESSIONS, "value"),
}
NAMES = (*_PLAIN, *(f"{percentile}:<metric name>" for percentile in _PERCENTILES), "count:<event name>")


def parse_metrics(texts: list[str]) -> tuple[Metric, ...]:
    r"""Reads metric names, repeated or separated by commas (`\,` is a comma of a name). Repetitions are dropped.

    Raises:
        InvalidArgument: UNKNOWN_METRIC, NO_METRICS or TOO_MANY_METRICS, on `metrics`.
    """
    names = dict.fromkeys(name.strip() for text in texts for name in split_list(text) if name.strip())
    if not names:
        raise InvalidArgument("NO_METRICS", "name at least one metric", field="metrics")
    if len(names) > MAX_METRICS:
        raise InvalidArgument("TOO_MANY_METRICS", f"at most {MAX_METRICS} metrics", field="metrics")
    return tuple(_parse(name) for name in names)


def _parse(name: str) -> Metric:
    plain = _PLAIN.get(name)
    if plain is not None:
        return Metric(name, name, *plain)
    kind, _, argument = name.partition(":")
    if 0 < len(argument) <= _MAX_ARGUMENT:
        if kind in _PERCENTILES:
            # The SDKs measure in milliseconds, but a measurement may be anything.
            return Metric(name, "percentile", Family.PERFORMANCE, "value", argument, _PERCENTILES[kind])
        if kind == "count":
            return Metric(name, "count", Family.EVENTS, "count", argument)
    raise InvalidArgument("UNKNOWN_METRIC", f"a metric is one of {', '.join(NAMES)}", field="metrics")
