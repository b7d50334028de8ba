"""Inserts one batch of rows, and tells which rows of one are missing."""

from clickhouse_connect.driver.exceptions import ClickHouseError

from obc_common.logs import get_logger
from obc_query.metrics import UNREADABLE_PROPERTIES
from obc_query.schema import EVENTS_COLUMNS
from obc_query.warehouse import Handle, error_code

_log = get_logger(__name__)

_TENANT_CHARS = 36
_EVENT_TIME = EVENTS_COLUMNS.index("event_time")
_PROPERTIES = EVENTS_COLUMNS.index("properties")
# The engine is at fault or away, not the data: repeat the batch later instead of looking for a bad row.
_NOT_THE_DATA = frozenset({0, 3, 159, 160, 209, 210, 241, 242, 243, 252, 319, 394, 999})

# The time prunes; an event has one.
_FOUND = """
SELECT tenant_id, event_id FROM events
WHERE tenant_id IN {tenants:Array(UUID)} AND event_id IN {ids:Array(UUID)}
  AND event_time BETWEEN toDateTime64({first:String}, 3, 'UTC') AND toDateTime64({last:String}, 3, 'UTC')
"""
_LOOKED_UP_AT_ONCE = 2000

_SETTINGS = {
    # One thread and no parallel parsing: the same bytes become the same blocks, which the token needs.
    "max_insert_threads": 1,
    "input_format_parallel_parsing": 0,
    "max_insert_block_size": 1_048_576,
    "min_insert_block_size_rows": 0,
    "min_insert_block_size_bytes": 0,
    "insert_deduplicate": 1,
    "async_insert": 0,
    # An import may reach back over any number of months.
    "max_partitions_per_insert_block": 0,
    "throw_on_max_partitions_per_insert_block": 0,
    # Properties stay what they are: a string that looks like a date is a string, `a.b` is not `a` in `b`.
    "json_type_escape_dots_in_keys": 1,
    "input_format_try_infer_dates": 0,
    "input_format_try_infer_datetimes": 0,
    "input_format_try_infer_integers": 1,
    "input_format_json_read_bools_as_strings": 0,
    "input_format_json_read_numbers_as_strings": 0,
    "input_format_json_try_infer_numbers_from_strings": 0,
}


def tenants_of(data: bytes) -> tuple[str, ...]:
    """The tenants among rows in COPY's text form, whose first column is the tenant."""
    return tuple(sorted({line[:_TENANT_CHARS].decode() for line in data.splitlines() if line}))


def missing_rows(handle: Handle, data: bytes) -> bytes:
    """Those of some rows in COPY's text form that are not in yet. Blocking."""
    lines = data.splitlines(keepends=True)
    missing: list[bytes] = []
    for start in range(0, len(lines), _LOOKED_UP_AT_ONCE):
        some = [(line, *line.split(b"\t", _EVENT_TIME + 1)) for line in lines[start : start + _LOOKED_UP_AT_ONCE]]
        times = [row[1 + _EVENT_TIME].decode() for row in some]
        found = handle.query(
            _FOUND,
            {
                "tenants": sorted({row[1].decode() for row in some}),
                "ids": [row[2].decode() for row in some],
                "first": min(times),
                "last": max(times),
            },
        )
        known = {(str(tenant), str(event)) for tenant, event in found}
        missing += [row[0] for row in some if (row[1].decode(), row[2].decode()) not in known]
    return b"".join(missing)


def insert_rows(handle: Handle, data: bytes, token: str) -> None:
    """Inserts rows in COPY's text form. Blocking.

    A row whose properties the engine cannot read must not stop the others: the batch is halved until the row is found,
    and that row goes in without properties. The halves have tokens of their own, derived from the batch's.

    Raises:
        ClickHouseError: the engine is at fault; nothing, some or all of the rows are in. Repeat with `missing_rows`.
    """
    if not data:
        return
    try:
        handle.insert_tsv("events", EVENTS_COLUMNS, data, {**_SETTINGS, "insert_deduplication_token": token})
    except ClickHouseError as error:
        if error_code(error) in _NOT_THE_DATA:
            raise
        lines = data.splitlines(keepends=True)
        if len(lines) == 1:
            _insert_without_properties(handle, lines[0], token, error)
            return
        middle = len(lines) // 2
        insert_rows(handle, b"".join(lines[:middle]), token + "0")
        insert_rows(handle, b"".join(lines[middle:]), token + "1")


def _insert_without_properties(handle: Handle, line: bytes, token: str, error: ClickHouseError) -> None:
    columns = line.rstrip(b"\n").split(b"\t")
    if columns[_PROPERTIES] == b"{}":
        raise error
    _log.error(
        "unreadable_properties",
        tenant_id=columns[0].decode(),
        event_id=columns[1].decode(),
        code=error_code(error),  # never its text: that quotes the row
    )
    UNREADABLE_PROPERTIES.inc()
    columns[_PROPERTIES] = b"{}"
    data = b"\t".join(columns) + b"\n"
    handle.insert_tsv("events", EVENTS_COLUMNS, data, {**_SETTINGS, "insert_deduplication_token": token + "x"})
