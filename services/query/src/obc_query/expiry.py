"""What is expired in the read model, and how it goes: whole parts where possible, else by lightweight DELETE.

A part never changes, so one that was seen to hold nothing but expired events can be dropped whatever the projector
writes meanwhile; dropping a month's partition could take rows along that came after the look. Old months are few, large
parts.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from clickhouse_connect.driver.exceptions import ClickHouseError

from obc_query.warehouse import Handle, error_code

_DAY_MS = 86_400_000
_TENANTS_AT_ONCE = 50
_NO_SUCH_PART = 232

# Whole partitions are read, since a part may go only if every row of it may.
_CONTENTS = """
SELECT _part AS part, tenant_id, toUnixTimestamp64Milli(min(event_time)), toUnixTimestamp64Milli(max(event_time))
FROM events WHERE toYYYYMM(event_time) <= {month:UInt32} GROUP BY part, tenant_id
"""


@dataclass(frozen=True, slots=True)
class Expired:
    """What went.

    Attributes:
        parts: dropped as a whole.
        deletions: tenants whose rows were deleted from parts that stay.
        tenants: all whose rows went.
    """

    parts: int
    deletions: int
    tenants: frozenset[str]


def remove_expired(handle: Handle, retention_days: Mapping[str, int], now_ms: int, stop: threading.Event) -> Expired:
    """Removes every event that is older than its tenant's retention. Blocking; ends early when `stop` is set.

    Args:
        handle: of the read model.
        retention_days: by tenant; the events of any other tenant stay.
        now_ms: unix milliseconds.
        stop: looked at between two statements.
    """
    cutoffs = {UUID(tenant_id): now_ms - days * _DAY_MS for tenant_id, days in retention_days.items()}
    if not cutoffs:
        return Expired(0, 0, frozenset())
    contents: dict[str, list[tuple[UUID, int, int]]] = {}
    for part, tenant_id, first, last in handle.query(_CONTENTS, {"month": _month(max(cutoffs.values()))}):
        contents.setdefault(part, []).append((tenant_id, first, last))
    dropped, deletions, gone, delete_from = 0, 0, set[UUID](), set[UUID]()
    for part, rows in contents.items():
        if stop.is_set():
            break
        if not all(last < cutoffs.get(tenant_id, last) for tenant_id, _, last in rows):
            delete_from |= {tenant_id for tenant_id, first, _ in rows if first < cutoffs.get(tenant_id, first)}
        elif _drop(handle, part):
            dropped += 1
            gone |= {tenant_id for tenant_id, _, _ in rows}
    for tenants in _chunks(sorted(delete_from)):
        if stop.is_set():
            break
        _delete(handle, {tenant_id: cutoffs[tenant_id] for tenant_id in tenants})
        deletions += len(tenants)
        gone |= set(tenants)
    return Expired(dropped, deletions, frozenset(map(str, gone)))


def _month(unix_ms: int) -> int:
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return moment.year * 100 + moment.month


def _drop(handle: Handle, part: str) -> bool:
    try:
        # A part's name is the engine's own: digits and underscores.
        handle.command(f"ALTER TABLE events DROP PART '{part}'")
    except ClickHouseError as error:
        if error_code(error) != _NO_SUCH_PART:
            raise
        return False  # merged with another meanwhile; the next look finds that one
    return True


def _delete(handle: Handle, cutoffs: Mapping[UUID, int]) -> None:
    conditions, parameters = [], dict[str, object]()
    for index, (tenant_id, cutoff) in enumerate(cutoffs.items()):
        conditions.append(
            f"(tenant_id = {{t{index}:UUID}} AND event_time < fromUnixTimestamp64Milli({{c{index}:Int64}}, 'UTC'))"
        )
        parameters |= {f"t{index}": str(tenant_id), f"c{index}": cutoff}
    handle.command(f"DELETE FROM events WHERE {' OR '.join(conditions)}", parameters)  # noqa: S608  # values are bound


def _chunks(tenants: list[UUID]) -> Iterator[list[UUID]]:
    for start in range(0, len(tenants), _TENANTS_AT_ONCE):
        yield tenants[start : start + _TENANTS_AT_ONCE]
