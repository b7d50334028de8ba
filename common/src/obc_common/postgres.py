"""PostgreSQL pools and the two kinds of transaction: one tenant's, and the suite's own.

The tenant is set with `set_config(..., true)`, which ends with the transaction: a session-level setting would leak to
the next user of a pooled connection.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from obc_common.errors import DomainError, Internal, Unavailable

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.pool.PoolConnectionProxy

_JSONB_VERSION = b"\x01"
_ACQUIRE_TIMEOUT = 5.0
_CONNECT_TIMEOUT = 5.0


async def create_pool(
    dsn: str,
    *,
    role: str,
    name: str,
    min_size: int = 1,
    max_size: int = 8,
    command_timeout: float = 30.0,
    reset: bool = True,
) -> Pool:
    """Opens a pool whose connections act as `role`, under that role's own settings.

    PostgreSQL applies what ALTER ROLE ... SET says to a login only, not to a login that takes a role: without the
    settings given here, the role's limits and its synchronous commit would hold for nobody.

    `jsonb` values are bytes of JSON text in both directions: nothing is parsed that nobody reads.

    Args:
        dsn: connection string; its login must be the role or a member of it.
        role: role taken at connect (RESET goes back to it, not to the login).
        name: application_name, for pg_stat_activity.
        min_size: connections kept open.
        max_size: most connections.
        command_timeout: seconds after which a statement is cancelled.
        reset: False saves the round trip that cleans a returned connection; only for users that leave nothing behind.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=min_size,
        max_size=max_size,
        command_timeout=command_timeout,
        timeout=_CONNECT_TIMEOUT,
        init=use_raw_jsonb,
        reset=None if reset else _leave_as_it_is,
        # Given at connect, so that the RESET ALL of a returned connection goes back to them.
        server_settings={
            **await _role_settings(dsn, role),
            "role": role,
            "application_name": name,
            "timezone": "UTC",
        },
    )


async def _leave_as_it_is(_connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nothing to clean."""


async def _role_settings(dsn: str, role: str) -> dict[str, str]:
    """What ALTER ROLE ... SET says of a role, in every database."""
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT, command_timeout=_CONNECT_TIMEOUT)
    try:
        settings: list[str] | None = await connection.fetchval(
            "SELECT rolconfig FROM pg_roles WHERE rolname = $1", role
        )
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT)
    pairs = (setting.partition("=") for setting in settings or ())
    return {name: value for name, _, value in pairs}


async def use_raw_jsonb(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Makes `jsonb` travel as bytes of JSON text (the binary form is one version byte and the text)."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda text: _JSONB_VERSION + text,
        decoder=lambda data: data[1:],
        format="binary",
    )


@asynccontextmanager
async def tenant_transaction(pool: Pool, tenant_id: str, *, readonly: bool = False) -> AsyncIterator[Connection]:
    """A transaction that row-level security confines to one tenant."""
    async with pool.acquire(timeout=_ACQUIRE_TIMEOUT) as connection, connection.transaction(readonly=readonly):
        await connection.execute("SELECT set_config('app.tenant_id', $1, true)", tenant_id)
        yield connection


@asynccontextmanager
async def tenant_write_transaction(pool: Pool, tenant_id: str) -> AsyncIterator[Connection]:
    """The same for a role whose transactions are read-only unless they say otherwise: this one says it."""
    async with pool.acquire(timeout=_ACQUIRE_TIMEOUT) as connection, connection.transaction():
        # Before anything else: once a statement has looked at the data, PostgreSQL refuses it.
        await connection.execute("SET TRANSACTION READ WRITE")
        await connection.execute("SELECT set_config('app.tenant_id', $1, true)", tenant_id)
        yield connection


@asynccontextmanager
async def as_domain_errors() -> AsyncIterator[None]:
    """What fails inside is the domain error that `map_postgres_error` makes of it."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise map_postgres_error(error) from error


@asynccontextmanager
async def all_tenants_transaction(pool: Pool, *, readonly: bool = False) -> AsyncIterator[Connection]:
    """A transaction of the suite itself or of an operator, which sees every tenant."""
    async with pool.acquire(timeout=_ACQUIRE_TIMEOUT) as connection, connection.transaction(readonly=readonly):
        await connection.execute("SELECT set_config('app.scope', 'all', true)")
        yield connection


async def ping(pool: Pool) -> None:
    """A health check: one round trip."""
    async with pool.acquire(timeout=_ACQUIRE_TIMEOUT) as connection:
        await connection.execute("SELECT 1")


def is_connection_failure(error: BaseException) -> bool:
    """True when the database is away, full, read-only or restarting, rather than the data being wrong."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        # 08 connection, 57P admin shutdown, 53 out of resources, 25006 read-only, 57014 and 25P03 ended by a timeout
        return state[:2] in ("08", "53") or state[:3] == "57P" or state in ("25006", "57014", "25P03")
    # InternalClientError: what an idle connection answers that was told of its end and has not seen it yet.
    return isinstance(
        error, OSError | asyncio.TimeoutError | asyncpg.InterfaceError | asyncpg.exceptions.InternalClientError
    )


def map_postgres_error(error: BaseException) -> DomainError:
    """The domain error a failed statement becomes when the caller has no better word for it."""
    if is_connection_failure(error):
        return Unavailable("DATABASE_UNAVAILABLE", "the database is not available", retry_after=1.0)
    return Internal("DATABASE_ERROR", "the database refused the statement")
