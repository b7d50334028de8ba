"""Which failures of the database are worth another try."""

import asyncpg
import pytest

from obc_common.errors import Internal, Unavailable
from obc_common.postgres import map_postgres_error


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        TimeoutError(),
        asyncpg.InterfaceError("the underlying connection is closed"),
        asyncpg.AdminShutdownError("terminating connection"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        # An idle connection that PostgreSQL has told of its end and that is used before it has ended.
        asyncpg.exceptions.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_database_that_is_away_is_unavailable(error: Exception) -> None:
    mapped = map_postgres_error(error)
    assert isinstance(mapped, Unavailable)
    assert mapped.retry_after


def test_a_refused_statement_is_not_worth_another_try() -> None:
    assert isinstance(map_postgres_error(asyncpg.UndefinedTableError("no such table")), Internal)
