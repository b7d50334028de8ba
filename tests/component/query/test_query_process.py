"""The process as it is composed: it starts without TenantConfig and Redis, says what is missing, and rebuilds."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from obc_query.app import build
from obc_query.settings import Settings
from obc_query.warehouse import Warehouse
from tests.support.eventually import eventually
from tests.support.stored_events import Stored, insert_events

SECRET = "a secret of the tests, long enough"


def run_rebuild() -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "obc_query.rebuild"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_it_serves_and_names_what_is_not_well(warehouse: Warehouse, database: str) -> None:
    settings = Settings(
        grpc_port=0,
        admin_port=None,
        internal_secret=SECRET,
        database_url=database,
        warehouse_url=warehouse.url,
        warehouse_database=warehouse.database,
        redis_url="redis://127.0.0.1:1",
        tenant_config_address="127.0.0.1:1",
    )
    async with build(settings) as server:
        assert server.port

        def verdicts() -> dict[str, bool]:
            return {name: part.ok for name, part in server._health.components().items()}

        await eventually(
            lambda: (
                verdicts()
                == {"database": True, "warehouse": True, "read_model": True, "tenant_config": False, "redis": False}
            ),
            timeout=10,
        )


async def test_rebuild_copies_everything_again(
    database: str, tenant_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await insert_events(database, tenant_id, [Stored(1_760_000_000_000 + n) for n in range(5)])
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", database)
    monkeypatch.setenv("ANALYTICS_INTERNAL_SECRET", SECRET)
    monkeypatch.setenv("ANALYTICS_WAREHOUSE_URL", f"chdb://{tmp_path / 'store'}")
    for _ in range(2):
        done = await asyncio.to_thread(run_rebuild)
        assert done.stdout.splitlines()[-1] == "read model rebuilt in 1 batches", done.stderr


async def test_rebuild_names_wrong_settings_and_never_shows_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANALYTICS_DATABASE_URL", raising=False)
    monkeypatch.setenv("ANALYTICS_INTERNAL_SECRET", "hush")

    done = await asyncio.to_thread(run_rebuild)

    assert done.returncode == 2
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
        "ANALYTICS_DATABASE_URL",
        "ANALYTICS_INTERNAL_SECRET",
    ]
    assert "hush" not in done.stderr
