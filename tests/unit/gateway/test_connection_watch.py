"""What ends an open connection from outside."""

import asyncio
from typing import Any, cast

import pytest

from obc_common.clock import ManualClock
from obc_common.context import Principal
from obc_common.directory import TenantDirectory
from obc_common.subscriptions import Subscriptions
from obc_gateway.sockets import watch as watch_module
from obc_gateway.sockets.close_codes import Close
from obc_gateway.sockets.watch import ConnectionWatch

WRITER = Principal("t", "k", "write", frozenset({"ingest"}), key_id="k")


class Directory:
    """Knows one key, and says nothing when it ends."""

    def __init__(self) -> None:
        self.live = True
        self._subscriptions = Subscriptions()

    def key_is_live(self, _key_id: str) -> bool:
        return self.live

    def subscribe(self, tenant_id: str) -> Any:
        return self._subscriptions.add(tenant_id)


async def test_a_rotated_key_ends_its_connections_when_its_overlap_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a connection of a key that had no end when it was opened
    monkeypatch.setattr(watch_module, "_LOOK_AGAIN_SECONDS", 0.01)
    directory = Directory()
    watch = ConnectionWatch(WRITER, cast(TenantDirectory, directory), ManualClock(1), asyncio.Event())
    ending = asyncio.create_task(watch.ending())
    await asyncio.sleep(0)
    # when the key ends later and nobody says so
    directory.live = False
    # then the connection ends all the same
    async with asyncio.timeout(5):
        assert (await ending).code is Close.REVOKED
