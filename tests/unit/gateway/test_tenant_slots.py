"""One tenant's batches wait for each other, never for another tenant's."""

import asyncio

import pytest

from obc_common.errors import ResourceExhausted
from obc_gateway.rest.tenant_slots import TenantSlots


async def test_a_flood_waits_or_is_refused_and_others_pass() -> None:
    slots, gate, passed = TenantSlots(1, 2), asyncio.Event(), list[str]()

    async def send(tenant: str) -> None:
        async with slots.slot(tenant):
            passed.append(tenant)
            await gate.wait()

    flood = [asyncio.create_task(send("flood")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(ResourceExhausted) as refused:
        await send("flood")
    calm = asyncio.create_task(send("calm"))
    await asyncio.sleep(0)
    assert passed == ["flood", "calm"]
    gate.set()
    await asyncio.gather(*flood, calm)
    assert (refused.value.reason, refused.value.retry_after) == ("TENANT_BUSY", 1.0)
    await send("flood")


async def test_one_that_gives_up_leaves_room() -> None:
    slots = TenantSlots(1, 1)
    async with slots.slot("a"):
        pass
    with pytest.raises(RuntimeError):
        async with slots.slot("a"):
            raise RuntimeError
    async with slots.slot("a"):
        pass
