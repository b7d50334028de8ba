"""`python -m obc_migrations`: brings the database to the newest schema and says what it did."""

import argparse
import asyncio
import os
import sys

import asyncpg

from obc_migrations.runner import MigrationError, migrate


def main() -> int:
    """Returns the exit status: 0 = the schema is the newest, 1 = it is not; exits with 2 when no database is named."""
    parser = argparse.ArgumentParser(prog="python -m obc_migrations", description=__doc__)
    parser.add_argument(
        "--database-url",
        default=os.environ.get("ANALYTICS_MIGRATIONS_DATABASE_URL") or os.environ.get("ANALYTICS_DATABASE_URL"),
        help="default: ANALYTICS_MIGRATIONS_DATABASE_URL, else ANALYTICS_DATABASE_URL; its user owns the schema",
    )
    options = parser.parse_args()
    if not options.database_url:
        parser.error("no database: set ANALYTICS_MIGRATIONS_DATABASE_URL or ANALYTICS_DATABASE_URL")
    try:
        applied = asyncio.run(migrate(options.database_url))
    except (MigrationError, asyncpg.PostgresError, OSError, TimeoutError) as error:
        print(f"migration failed: {error or type(error).__name__}", file=sys.stderr)
        return 1
    for migration in applied:
        print(f"applied {migration.version:04d}_{migration.name}")
    if not applied:
        print("the schema is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
