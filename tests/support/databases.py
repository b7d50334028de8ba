"""Databases of tests: a template that is migrated once, and quick copies of it."""

import asyncio
import itertools
import os
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import asyncpg

from obc_dev.servers.postgres import PostgresServer
from obc_migrations.runner import migrate

T = TypeVar("T")

_TEMPLATE = "obc_template"


def run_apart(body: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on a loop of its own in a thread, so that a synchronous fixture leaves the tests' loop alone."""
    with ThreadPoolExecutor(max_workers=1) as threads:
        return threads.submit(asyncio.run, body).result(timeout=120)


class Databases:
    """Makes and drops databases on one server. `create()` copies the migrated template; `create_empty()` does not."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._numbers = itertools.count(1)
        self._has_template = False

    def create(self) -> str:
        """A fresh database with the newest schema: its DSN as superuser."""
        if not self._has_template:
            run_apart(self._execute(f"CREATE DATABASE {_TEMPLATE}"))
            run_apart(migrate(self._server.dsn(_TEMPLATE)))
            self._has_template = True
        return self._create(f"TEMPLATE {_TEMPLATE}")

    def create_empty(self) -> str:
        """A fresh database with nothing in it: its DSN as superuser."""
        return self._create("")

    def drop(self, dsn: str) -> None:
        """Drops a database, also while somebody is connected."""
        run_apart(self._execute(f"DROP DATABASE IF EXISTS {dsn.rpartition('/')[2]} WITH (FORCE)"))

    def _create(self, clause: str) -> str:
        name = f"obc_test_{os.getpid()}_{next(self._numbers)}"
        run_apart(self._execute(f"CREATE DATABASE {name} {clause}"))
        return self._server.dsn(name)

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._server.dsn(), timeout=10)
        try:
            await connection.execute(statement, timeout=60)
        finally:
            await connection.close()
