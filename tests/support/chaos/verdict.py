"""What is in the stores, past every service and every rule, and whether it is what was promised."""

from collections import Counter
from uuid import UUID

import asyncpg

from tests.support.chaos.journal import Journal, Key
from tests.support.chaos.stack import BrokenStack

# Metrics of ingest: everything evaluated had exactly one outcome.
_RECEIVED = "obc_ingest_events_received_total"
_OUTCOMES = tuple(f"obc_ingest_events_total.{name}" for name in ("accepted", "duplicate", "dropped", "rejected"))


async def in_postgresql(database_url: str) -> tuple[Counter[Key], list[str]]:
    """How often each id is there, and what is wrong with the rows themselves."""
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=120)
    try:
        rows = await connection.fetch("SELECT tenant_id, event_id, properties->>'owner' AS owner FROM analytics_events")
        alone = await connection.fetch(
            """SELECT tenant_id, event_id, ids IS NULL AS no_id, events IS NULL AS no_event
               FROM event_ids ids FULL JOIN analytics_events events USING (tenant_id, event_id)
               WHERE ids IS NULL OR events IS NULL"""
        )
        bad_rows = await connection.fetch("SELECT tenant_id, event_id FROM bad_rows")
    finally:
        await connection.close()
    found = [f"PostgreSQL: {row['event_id']} of {row['owner']} is under {row['tenant_id']}" for row in rows
             if row["owner"] != str(row["tenant_id"])]  # fmt: skip
    found += [f"PostgreSQL: {row['event_id']} has {'no ledger row' if row['no_id'] else 'a ledger row only'}"
              for row in alone]  # fmt: skip
    found += [] if bad_rows else ["PostgreSQL: no bad row was kept"]
    return Counter((str(row["tenant_id"]), str(row["event_id"])) for row in rows), found


def in_read_model(stack: BrokenStack) -> tuple[Counter[Key], list[str]]:
    """The same of the read model. Query must have ended: the engine allows one process. Blocking."""
    handle = stack.warehouse.connect()
    try:
        rows = handle.query("SELECT tenant_id, event_id, toString(properties.owner) FROM events")
    finally:
        handle.close()
    found = [f"read model: {event_id} of {owner} is under {tenant_id}" for tenant_id, event_id, owner in rows
             if UUID(str(owner)) != UUID(str(tenant_id))]  # fmt: skip
    return Counter((str(tenant_id), str(event_id)) for tenant_id, event_id, _ in rows), found


def unbalanced(metrics: dict[str, float]) -> list[str]:
    """received = accepted + duplicate + dropped + rejected, in one process."""
    received, outcomes = metrics.get(_RECEIVED, 0), [metrics.get(name, 0) for name in _OUTCOMES]
    return [] if received == sum(outcomes) else [f"ingest received {received:.0f} but answered {outcomes}"]


def compare(journal: Journal, postgresql: Counter[Key], read_model: Counter[Key]) -> list[str]:
    """Everything that was promised and is not so."""
    found = journal.contradictions()
    found += journal.broken_promises("PostgreSQL", postgresql)
    found += [f"read model: {key} is there {read_model[key]} times, in PostgreSQL {postgresql[key]}"
              for key in postgresql.keys() | read_model.keys() if postgresql[key] != read_model[key]]  # fmt: skip
    return found
