"""Events as lines of COPY's text form, which costs half of what the driver's binary form of Python values does.

The form: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS. Absent texts are NULL, and the
empty field is what stands for NULL here.
"""

from collections.abc import AsyncIterator, Iterable
from functools import lru_cache

import orjson

from obc_common.postgres import Connection
from obc_ingest.model import Event
from obc_ingest.timestamps import utc

# Who, what and when first: of a line that it refuses, PostgreSQL writes the first hundred characters into its log.
_COLUMNS = (
    "tenant_id",
    "event_id",
    "received_at",
    "event_time",
    "event_name",
    "user_id",
    "anonymous_id",
    "session_id",
    "event_category",
    "properties",
    "timestamp",
    "sent_at",
    "skew_ms",
    "page_url",
    "referrer",
    "user_agent",
    "ip_hash",
    "device_info",
    "correlation_id",
    "sample_rate",
)
_TABS = len(_COLUMNS) - 1
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


async def copy_lines(connection: Connection, lines: Iterable[str]) -> None:
    """Stores events by COPY. Raises what asyncpg raises, and UnicodeEncodeError for what is no text."""
    source = _whole("".join(lines).encode())
    await connection.copy_to_table("analytics_events", source=source, columns=_COLUMNS, null="")


def event_line(event: Event) -> str:
    """One event, its newline included."""
    fields = (
        event.tenant_id,
        event.event_id,
        _moment(event.received_at_ms),
        _moment(event.event_time_ms),
        event.event_name,
        event.user_id,
        event.anonymous_id,
        event.session_id,
        event.event_category,
        orjson.dumps(event.properties).decode(),
        _moment(event.timestamp_ms),
        _moment(event.sent_at_ms),
        str(event.skew_ms),
        event.page_url,
        event.referrer,
        event.user_agent,
        event.ip_hash,
        orjson.dumps(event.device_info).decode(),
        event.correlation_id,
        str(event.sample_rate),
    )
    line = "\t".join(fields)
    # Nearly every line has nothing to escape.
    if "\\" in line or "\n" in line or "\r" in line or line.count("\t") != _TABS:
        line = "\t".join([field.translate(_ESCAPED) for field in fields])
    return line + "\n"


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    """The driver takes bytes themselves for a path."""
    yield data


def _moment(ms: int) -> str:
    if ms == 0:
        return ""
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03}Z"


@lru_cache(maxsize=4096)  # an event has up to four moments, and most are those of its batch
def _second(seconds: int) -> str:
    return utc(1000 * seconds).strftime("%Y-%m-%dT%H:%M:%S")
