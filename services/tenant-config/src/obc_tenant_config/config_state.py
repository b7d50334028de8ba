"""Everything in force, in memory: read once, then kept up to date by following `config_changes`.

It feeds the watchers, and authenticates calls to this service itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import asyncpg

from obc_common.clock import Clock
from obc_common.directory_state import DirectoryState
from obc_common.errors import NotFound, Unavailable
from obc_common.key_use import KeyUseLog
from obc_common.logs import get_logger
from obc_common.postgres import Connection, Pool
from obc_common.tenant_state import JwtIssuer, KeyRecord
from obc_tenant_config.api_keys import ApiKeys
from obc_tenant_config.database import Database
from obc_tenant_config.metrics import CHANGES_READ, REVISION
from obc_tenant_config.model import ApiKey, StoredIssuer, TenantView
from obc_tenant_config.store import change_rows, issuer_rows, key_rows
from obc_tenant_config.store.tenant_view_rows import load_tenant_views
from obc_tenant_config.watchers import EVERYTHING, ISSUERS, OPERATOR_KEYS, Topic, Watchers

_log = get_logger(__name__)

_POLL_SECONDS: Final = 1.0  # notifications are quick but can be lost with their connection; the poll is the promise
_ACQUIRE_TIMEOUT: Final = 5.0
_CHANGES_AT_ONCE: Final = 1000
_STALE_SECONDS: Final = 10.0


class ConfigState:
    """The copy of this process.

    Args:
        database: for reading.
        pool: gives the connection that listens.
        api_keys: for keys that are newer than the copy, and for noting uses.
        watchers: told of every change.
        clock: time.
    """

    def __init__(self, database: Database, pool: Pool, api_keys: ApiKeys, watchers: Watchers, clock: Clock) -> None:
        self._database = database
        self._pool = pool
        self._api_keys = api_keys
        self._watchers = watchers
        self._clock = clock
        self._key_use = KeyUseLog(api_keys.report_use, clock)
        self._index = DirectoryState()
        self._signal = asyncio.Event()
        self._read_at: float | None = None
        self.revision = -1
        """Newest revision that was read; -1 before the first read."""
        self.tenants: dict[str, TenantView] = {}
        self.stored_issuers: list[StoredIssuer] = []
        self.operator_keys: list[ApiKey] = []

    async def run(self) -> None:
        """Follows the changes until cancelled. To be owned by `tasks.background`; a lost database ends it."""
        async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT) as connection:
            await connection.add_listener(change_rows.CHANNEL, self._wake)
            try:
                while not _is_lost(connection):
                    await self.catch_up()
                    await self._wait()
            finally:
                if not _is_lost(connection):
                    await connection.remove_listener(change_rows.CHANNEL, self._wake)
        raise ConnectionError("the listening connection was lost")

    async def run_key_use(self) -> None:
        """Stores the uses of keys at this service until cancelled."""
        await self._key_use.run()

    async def catch_up(self) -> None:
        """Reads what changed since the last time, or everything the first time, and tells the watchers."""
        async with self._database.suite_transaction(readonly=True) as connection:
            oldest, newest = await change_rows.revision_range(connection)
            if self.revision < 0 or newest < self.revision or oldest > self.revision + 1:
                # A revision that goes back means another database than before: one that was restored. And after more
                # than a day away (a paused process, a long outage) changes in between may be forgotten.
                await self._read_everything(connection, newest)
            elif newest > self.revision:
                await self._read_changes(connection)
        self._read_at = self._clock.monotonic()
        REVISION.set(self.revision)

    async def check(self) -> None:
        """A health check. Raises RuntimeError while the copy is missing or older than 10 s."""
        if self._read_at is None:
            raise RuntimeError("nothing was read yet")
        age = self._clock.monotonic() - self._read_at
        if age > _STALE_SECONDS:
            raise RuntimeError(f"last read {age:.0f} s ago")

    def require_read(self) -> None:
        """Raises Unavailable(CONFIG_NOT_READ) before the first read."""
        if self.revision < 0:
            raise Unavailable("CONFIG_NOT_READ", "the configuration was not read yet", retry_after=1.0)

    # What `authentication.KeyDirectory` asks.

    async def key(self, sha256: bytes) -> KeyRecord | None:
        """The live key with a fingerprint. Raises Unavailable when the database does not answer."""
        record = self._index.key(sha256)
        if record is None:
            try:
                key, _view = await self._api_keys.resolve(sha256)
            except NotFound:
                return None
            record = key.record()
        return record if record.is_live(self._clock.now_ms()) else None

    def has_tenant(self, tenant_id: str) -> bool:
        """True when the tenant exists."""
        return tenant_id in self.tenants

    def note_use(self, key_id: str) -> None:
        """Notes that a key was used."""
        self._key_use.note(key_id)

    def issuers(self) -> Mapping[str, JwtIssuer]:
        """The trusted issuers by `iss`."""
        return self._index.issuers

    def _wake(self, *_notification: Any) -> None:
        self._signal.set()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await self._signal.wait()
        except TimeoutError:
            return
        finally:
            self._signal.clear()

    async def _read_everything(self, connection: Connection, revision: int) -> None:
        # The revision was read before the rows, so they are at least as new; what is newer comes again as a change.
        views = await load_tenant_views(connection, None, self._clock.now_ms())
        self.tenants = {view.tenant.tenant_id: view for view in views}
        self.operator_keys = await key_rows.list_live_operator_keys(connection, self._clock.now_ms())
        self.stored_issuers = await issuer_rows.list_issuers(connection)
        self._index.apply_snapshot(
            (view.state() for view in views),
            (key.record() for key in self.operator_keys),
            {stored.issuer.issuer: stored.issuer for stored in self.stored_issuers},
        )
        self.revision = revision
        self._watchers.tell([EVERYTHING])
        _log.info("config_read", tenants=len(views), revision=revision)

    async def _read_changes(self, connection: Connection) -> None:
        while changes := await change_rows.list_changes_after(connection, self.revision, _CHANGES_AT_ONCE):
            topics: dict[Topic, None] = {}
            for change in changes:
                CHANGES_READ.labels(change.kind).inc()
                topics[change.tenant_id if change.kind == "tenant" else change.kind] = None
            if OPERATOR_KEYS in topics:
                self.operator_keys = await key_rows.list_live_operator_keys(connection, self._clock.now_ms())
                self._index.apply_operator_keys(key.record() for key in self.operator_keys)
            if ISSUERS in topics:
                self.stored_issuers = await issuer_rows.list_issuers(connection)
                self._index.apply_issuers({stored.issuer.issuer: stored.issuer for stored in self.stored_issuers})
            tenant_ids = [topic for topic in topics if topic not in (OPERATOR_KEYS, ISSUERS)]
            if tenant_ids:
                for view in await load_tenant_views(connection, tenant_ids, self._clock.now_ms()):
                    self.tenants[view.tenant.tenant_id] = view
                    self._index.apply_tenant(view.state())
            self.revision = changes[-1].revision
            self._watchers.tell(topics)


def _is_lost(connection: Connection) -> bool:
    """True when the connection was cut. The pool takes a cut one back by itself; then it may not even be asked."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True
