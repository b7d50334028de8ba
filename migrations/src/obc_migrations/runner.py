"""Brings a database to the newest schema: numbered SQL files, each applied once, in order, in its own transaction."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

import asyncpg

# One lock for everybody who migrates this database; the number is arbitrary and must never change.
_ADVISORY_LOCK = 0x0BC_5C4E3A
_FILE_NAME = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")
_CONNECT_TIMEOUT_SECONDS = 30.0


class MigrationError(Exception):
    """The database and the migration files contradict each other; the message says how. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file. `sha256` is of its bytes; an applied file must never change."""

    version: int
    name: str
    sql: str
    sha256: str


def load_migrations(folder: Traversable | None = None) -> tuple[Migration, ...]:
    """Reads `NNNN_name.sql` files, by default those of this package.

    Raises MigrationError for a bad name, a number used twice or a gap in the numbers.
    """
    folder = folder if folder is not None else resources.files("obc_migrations") / "sql"
    found: dict[int, Migration] = {}
    for entry in folder.iterdir():
        if not entry.name.endswith(".sql"):
            continue
        match = _FILE_NAME.match(entry.name)
        if match is None:
            raise MigrationError(f"{entry.name}: a migration is named NNNN_words.sql")
        version, content = int(match[1]), entry.read_bytes()
        if version in found:
            raise MigrationError(f"{entry.name}: the number {match[1]} is taken by {found[version].name}")
        found[version] = Migration(version, match[2], content.decode(), hashlib.sha256(content).hexdigest())
    if sorted(found) != list(range(1, len(found) + 1)):
        raise MigrationError(f"migrations must be numbered 1..{len(found)} without a gap, found {sorted(found)}")
    return tuple(found[version] for version in sorted(found))


async def migrate(
    database_url: str, migrations: Sequence[Migration] | None = None, *, lock_timeout: float = 120.0
) -> tuple[Migration, ...]:
    """Applies what is missing and returns it (empty = the database was up to date).

    Any number of callers may run at once: one works, the others wait up to `lock_timeout` seconds and then find nothing
    to do. Raises MigrationError when an applied file was changed or is unknown here, TimeoutError when the lock is held
    too long, and asyncpg's own errors when a statement fails; the failed file leaves no trace, those before it stay.
    """
    wanted = load_migrations() if migrations is None else tuple(migrations)
    connection = await asyncpg.connect(
        database_url, timeout=_CONNECT_TIMEOUT_SECONDS, server_settings={"application_name": "obc_migrations"}
    )
    try:
        # Held by the session, so that it spans the transactions; closing the connection gives it back.
        await connection.execute("SELECT pg_advisory_lock($1)", _ADVISORY_LOCK, timeout=lock_timeout)
        await connection.execute(
            """CREATE TABLE IF NOT EXISTS schema_migrations (
                   version    integer     PRIMARY KEY,
                   name       text        NOT NULL,
                   sha256     text        NOT NULL,
                   applied_at timestamptz NOT NULL DEFAULT now()
               )"""
        )
        pending = await _pending(connection, wanted)
        for migration in pending:
            await _apply(connection, migration)
        return pending
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_SECONDS)


async def _pending(connection: asyncpg.Connection, wanted: Sequence[Migration]) -> tuple[Migration, ...]:
    rows = await connection.fetch("SELECT version, name, sha256 FROM schema_migrations ORDER BY version", timeout=30)
    known = {migration.version: migration for migration in wanted}
    applied = set[int]()
    for row in rows:
        label = f"{row['version']:04d}_{row['name']}.sql"
        migration = known.get(row["version"])
        if migration is None:
            raise MigrationError(f"{label} is applied but unknown here: the database is newer than this program")
        if migration.sha256 != row["sha256"]:
            raise MigrationError(
                f"{label} was changed after it was applied (sha256 {row['sha256'][:12]}.. applied, "
                f"{migration.sha256[:12]}.. now): put the file back and write the change as a new migration"
            )
        applied.add(migration.version)
    return tuple(migration for migration in wanted if migration.version not in applied)


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    async with connection.transaction():
        # A migration may rewrite a large table: it takes the time it takes.
        await connection.execute(migration.sql, timeout=None)
        await connection.execute(
            "INSERT INTO schema_migrations (version, name, sha256) VALUES ($1, $2, $3)",
            migration.version,
            migration.name,
            migration.sha256,
            timeout=30,
        )
