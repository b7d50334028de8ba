"""Jobs that are done tenant by tenant: shares by tenant, and one tenant's trouble is not another's."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar
from uuid import UUID

import asyncpg

from obc_common.postgres import is_connection_failure

T = TypeVar("T")

_SHARES = 4
SHARDS = tuple(str(share) for share in range(_SHARES))


class SomeFailedError(Exception):
    """Some were not done; all others were. Names the first."""


def is_in(shard: str, tenant_id: UUID) -> bool:
    """True when a tenant belongs to a share."""
    return tenant_id.int % _SHARES == int(shard)


async def each(things: Iterable[T], body: Callable[[T], Awaitable[None]]) -> None:
    """Does every one, also after one that the database refuses. Raises SomeFailedError at the end.

    What is not about one of them (a lost database, a lost lease, a stop) ends it at once.
    """
    failures: list[str] = []
    for thing in things:
        try:
            await body(thing)
        except asyncpg.PostgresError as error:
            # A statement that takes too long is the fault of the one it was about.
            if is_connection_failure(error) and not isinstance(error, asyncpg.QueryCanceledError):
                raise
            failures.append(f"{thing}: {type(error).__name__}: {error}")
    if failures:
        raise SomeFailedError(f"{len(failures)} failed, the first was {failures[0]}")
