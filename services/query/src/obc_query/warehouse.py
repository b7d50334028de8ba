"""Handles on the ClickHouse engine: embedded (chDB) or a server, chosen by the DSN; one dialect serves both.

A handle is synchronous and serialises its own calls; whoever owns one runs it in a thread.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
        return Handle(lambda: self._client(self.database))

    def _client(self, database: str | None) -> "Client":
        options: dict[str, Any] = {} if database is None else {"database": database}
        if not self.embedded:
            # A session would make the server refuse a second statement of the same handle after a cancelled first.
            options |= {
                "autogenerate_session_id": False,
                "connect_timeout": _CONNECT_SECONDS,
                "send_receive_timeout": _RECEIVE_SECONDS,
                # Values can be longer than an address may be.
                "form_encode_query_params": True,
            }
        client = clickhouse_connect.get_client(dsn=self.url, **options)
        if self.embedded:
            # The library takes the rows of the answer for the rows read, and has no public way to the result.
            client._backend._summary = _read_from_storage  # type: ignore[attr-defined]  # a private member
        return client


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of a SELECT, and what they cost: rows and (unpacked) bytes that the engine read for them."""

    rows: Sequence[Sequence[Any]]
    rows_read: int
    bytes_read: int


class Handle:
    """One client of the engine; calls block and must not overlap.

    After a statement that failed or was killed the client is replaced: the embedded engine keeps what that statement
    had written of its answer so far, and puts it in front of the next one's, which may be another tenant's.
    """

    def __init__(self, connect: "Callable[[], Client]") -> None:
        self._connect = connect
        self._client: Client | None = connect()

    def query(
        self, sql: str, parameters: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> Sequence[Sequence[Any]]:
        """Runs a SELECT and gives its rows."""
        return self.answer(sql, parameters, settings).rows

    def answer(
        self, sql: str, parameters: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> Answer:
        """Runs a SELECT and gives its rows and what they cost."""
        with self._clean_client() as client:
            result = client.query(sql, parameters=dict(parameters or {}), settings=dict(settings or {}))
            read = result.summary
            return Answer(result.result_rows, int(read.get("read_rows", 0)), int(read.get("read_bytes", 0)))

    def command(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Runs a statement that answers nothing."""
        with self._clean_client() as client:
            client.command(sql, parameters=dict(parameters or {}))

    def insert_tsv(self, table: str, columns: Sequence[str], data: bytes, settings: Mapping[str, object]) -> None:
        """Inserts rows in ClickHouse's TabSeparated form."""
        with self._clean_client() as client:
            client.raw_insert(table, columns, data, settings=dict(settings), fmt="TabSeparated")

    def close(self) -> None:
        """Lets the client go."""
        if self._client is not None:
            self._client.close()

    @contextmanager
    def _clean_client(self) -> "Iterator[Client]":
        if self._client is None:
            self._client = self._connect()
        try:
            yield self._client
        except BaseException:
            client, self._client = self._client, None
            client.close()
            raise


def _read_from_storage(result: Any) -> dict[str, str]:
    """What the embedded engine read for a result, under the names that a server has for it."""
    return {"read_rows": str(result.storage_rows_read()), "read_bytes": str(result.storage_bytes_read())}


def error_code(error: ClickHouseError) -> int:
    """ClickHouse's number of an error, 0 when it has none (the connection failed)."""
    match = _CODE.search(str(error))
    return int(match[1]) if match else 0
