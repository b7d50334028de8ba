"""Stores of the worker's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from obc_dev.servers.ports import free_ports
from obc_dev.servers.postgres import PostgresServer


@pytest.fixture
def own_postgres(server_folder: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, to be stopped and started."""
    [port] = free_ports(1)
    folder = server_folder / f"postgres-{port}"
    server = PostgresServer(folder, port, server_folder / f"postgres-{port}.log", {"shared_buffers": "32MB"})
    try:
        server.start()
        yield server
    finally:
        server.stop()
