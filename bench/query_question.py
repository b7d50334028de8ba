"""What a question of a run is, and the words that all of them are made of."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from bench.query_traffic import BIG_TENANT
from obc_common.clients import QueryClient
from obc_common.context import Principal

CALLER = Principal(BIG_TENANT, "bench", "secret", frozenset({"query"}))
TIMEOUT = 60.0
DAY = 86_400_000

Ask = Callable[[QueryClient], Awaitable[Any]]
Rows = Sequence[Sequence[Any]]
Figures = Sequence[float]


@dataclass(frozen=True, slots=True)
class Question:
    """One question, three ways. Lists of statements are timed as a whole.

    Attributes:
        name: of the table.
        ask: asks the service.
        minimal: by hand for the read model.
        postgres: by hand for PostgreSQL.
        counts: it goes through many events; the others look a few rows up.
        said: figures of the service's answer that must be those of the statements; None = nothing is compared.
        told: the same figures of the statements' rows.
        within: how far they may be apart, as a share: more than nothing where the answer is an estimate.
    """

    name: str
    ask: Ask
    minimal: list[str]
    postgres: list[str]
    counts: bool = True
    said: Callable[[Any], Figures] | None = None
    told: Callable[[Sequence[Rows]], Figures] | None = None
    within: float = 1e-6


@dataclass(frozen=True, slots=True)
class Span:
    """A range of time, for all three."""

    start_ms: int
    end_ms: int

    @property
    def ch(self) -> str:
        """The big tenant's events of it, in ClickHouse."""
        start, end = moment(self.start_ms), moment(self.end_ms)
        return f"tenant_id = '{BIG_TENANT}' AND event_time >= {start} AND event_time < {end}"

    @property
    def pg(self) -> str:
        """The same in PostgreSQL."""
        return (
            f"tenant_id = '{BIG_TENANT}' AND event_time >= to_timestamp({self.start_ms / 1000}) "
            f"AND event_time < to_timestamp({self.end_ms / 1000})"
        )

    @property
    def request(self) -> dict[str, str]:
        """The same for the service."""
        return {"from": str(self.start_ms), "to": str(self.end_ms)}


@dataclass(frozen=True, slots=True)
class Days:
    """Ranges of whole days before midnight of the last day."""

    today_ms: int

    def span(self, first: int, last: int = 0) -> Span:
        """From so many days ago to so many days ago."""
        return Span(self.today_ms - first * DAY, self.today_ms - last * DAY)


@dataclass(frozen=True, slots=True)
class People:
    """How a statement names the person of an event.

    Attributes:
        ch: expression in ClickHouse.
        ch_events: the table, with a join where devices are linked.
        pg: expression in PostgreSQL.
        pg_events: the table there.
    """

    ch: str
    ch_events: str
    pg: str
    pg_events: str


UNLINKED = People("person", "events", "coalesce(user_id, anonymous_id, session_id)", "analytics_events")
LINKED = People(
    "multiIf(user_id != '', user_id, owner != '', owner, anonymous_id != '', anonymous_id, session_id)",
    "events ANY LEFT JOIN (SELECT anonymous_id AS device, argMinIf(user_id, (event_time, user_id), notEmpty(user_id)) "
    f"AS owner, max(empty(user_id)) AS has_past FROM events WHERE tenant_id = '{BIG_TENANT}' "
    "GROUP BY tenant_id, anonymous_id HAVING has_past AND owner != '' AND device != '') AS links "
    "ON if(user_id = '', anonymous_id, '') = device",
    "coalesce(user_id, owner, anonymous_id, session_id)",
    "analytics_events LEFT JOIN (SELECT DISTINCT ON (anonymous_id) anonymous_id AS device, user_id AS owner "
    f"FROM analytics_events WHERE tenant_id = '{BIG_TENANT}' AND user_id IS NOT NULL AND anonymous_id IS NOT NULL "
    "ORDER BY anonymous_id, event_time, user_id) AS links ON user_id IS NULL AND anonymous_id = device",
)


def call(method: str, message: Message, request: dict[str, Any]) -> Ask:
    """Asks the service by the name of the method, with the request's JSON."""
    read = json_format.ParseDict(request, message)
    return lambda client: client.call(method, read, principal=CALLER, timeout=TIMEOUT)


def moment(unix_ms: int) -> str:
    """A moment in ClickHouse."""
    return f"fromUnixTimestamp64Milli({unix_ms}, 'UTC')"


def in_order(values: Sequence[Any]) -> Figures:
    """Figures that have no other order."""
    return sorted(float(value) for value in values)
