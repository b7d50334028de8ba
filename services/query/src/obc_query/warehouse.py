"""Handles on the ClickHouse engine: embedded (chDB) or a server, chosen by the DSN; one dialect serves both.

A handle is synchronous and serialises its own calls; whoever owns one runs it in a thread.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_EMBEDDED_PREFIX = "chdb://"
_CODE = re.compile(r"\bCode: (\d+)")
# Statements say themselves how long they may take; these only catch a server that is gone.
_CONNECT_SECONDS = 5
_RECEIVE_SECONDS = 330


@dataclass(frozen=True, slots=True)
class Warehouse:
    """Where the read model is.

    Attributes:
        url: chdb:///path, or clickhouse[s]://user:password@host:port.
        database: its database.
    """

    url: str
    database: str

    @property
    def embedded(self) -> bool:
        """True for the engine inside this process: one process per path, and the copy is this process's own."""
        return self.url.startswith(_EMBEDDED_PREFIX)

    @property
    def path(self) -> str:
        """The folder of an embedded engine."""
        return self.url.removeprefix(_EMBEDDED_PREFIX)

    def create_database(self) -> None:
        """Makes the folder of an embedded engine and the database. Blocking."""
        if self.embedded:
            Path(self.path).mkdir(parents=True, exist_ok=True)
        client = self._client(None)
        try:
            client.command(f"CREATE DATABASE IF NOT EXISTS `{self.database}`")
        finally:
            client.close()

    def connect(self) -> "Handle":
        """A new handle. Blocking; raises ClickHouseError or OSError."""
        return Handle(self._client(self.database))

    def _client(self, database: str | None) -> "Client":
        options: dict[str, Any] = {} if database is None else {"database": database}
        if not self.embedded:
            # A session would make the server refuse a second statement of the same handle after a cancelled first.
            options |= {
                "autogenerate_session_id": False,
                "connect_timeout": _CONNECT_SECONDS,
                "send_receive_timeout": _RECEIVE_SECONDS,
            }
        return clickhouse_connect.get_client(dsn=self.url, **options)


class Handle:
    """One client of the engine; calls block and must not overlap."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def query(
        self, sql: str, parameters: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> Sequence[Sequence[Any]]:
        """Runs a SELECT and gives its rows."""
        result = self._client.query(sql, parameters=dict(parameters or {}), settings=dict(settings or {}))
        return result.result_rows

    def command(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Runs a statement that answers nothing."""
        self._client.command(sql, parameters=dict(parameters or {}))

    def insert_tsv(self, table: str, columns: Sequence[str], data: bytes, settings: Mapping[str, object]) -> None:
        """Inserts rows in ClickHouse's TabSeparated form."""
        self._client.raw_insert(table, columns, data, settings=dict(settings), fmt="TabSeparated")

    def close(self) -> None:
        """Lets the client go."""
        self._client.close()


def error_code(error: ClickHouseError) -> int:
    """ClickHouse's number of an error, 0 when it has none (the connection failed)."""
    match = _CODE.search(str(error))
    return int(match[1]) if match else 0
