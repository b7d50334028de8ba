"""Real stores for every test that asks for one. A test run that asks for none starts none."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from obc_dev.servers.ports import free_ports
from obc_dev.servers.postgres import PostgresServer
from obc_dev.servers.redis import RedisServer
from tests.support.databases import Databases

# The same examples in every run, and no clock: what fails, fails again. `make test-fuzz` is there to find new ones.
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.load_profile("repeatable")

# Smaller and quieter than a real one, but as durable: fsync, full_page_writes and synchronous_commit stay on.
_POSTGRES_TEST_SETTINGS = {
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "30min",
    "autovacuum_naptime": "5min",
}


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder for the data and logs of this session's servers; removed at the end.

    Not pytest's tmp_path: its parents are closed to the user that PostgreSQL runs as when the tests run as root.
    """
    folder = Path(tempfile.mkdtemp(prefix="obc-tests-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole session. Do not stop it: other tests use it."""
    [port] = free_ports(1)
    server = PostgresServer(server_folder / "postgres", port, server_folder / "postgres.log", _POSTGRES_TEST_SETTINGS)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def databases(postgres: PostgresServer) -> Databases:
    """Makes databases on the session's server."""
    return Databases(postgres)


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    """A fresh database with the newest schema, for one test: its DSN as superuser."""
    dsn = databases.create()
    yield dsn
    databases.drop(dsn)


@pytest.fixture(scope="module")
def module_database(databases: Databases) -> Iterator[str]:
    """Like `database`, shared by the tests of one module."""
    dsn = databases.create()
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def empty_database(databases: Databases) -> Iterator[str]:
    """A fresh database without any schema: its DSN as superuser."""
    dsn = databases.create_empty()
    yield dsn
    databases.drop(dsn)


@pytest.fixture(scope="session")
def shared_redis(server_folder: Path) -> Iterator[RedisServer]:
    """One Redis for the whole session. Do not stop it: take `redis_server` for that."""
    [port] = free_ports(1)
    server = RedisServer(server_folder / "redis", port, server_folder / "redis.log")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    """The session's Redis. Its content is shared: use keys of your own (tenant ids are)."""
    return shared_redis.url


@pytest.fixture
def redis_server(server_folder: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, running, to be stopped (`stop`, `kill`) and started again on the same port."""
    [port] = free_ports(1)
    server = RedisServer(server_folder / f"redis-{port}", port, server_folder / f"redis-{port}.log")
    try:
        server.start()
        yield server
    finally:
        server.stop()
