"""One tenant's batches wait for each other, never for another tenant's."""

import asyncio

import pytest

from obc_common.clock import ManualClock
from obc_common.errors import ResourceExhausted
from obc_gateway.rest.tenant_slots import TenantSlots


async def test_a_flood_waits_or_is_refused_and_others_pass() -> None:
    slots, gate, passed = TenantSlots(4, 2, ManualClock(0)), asyncio.Event(), list[str]()

    async def send(tenant: str) -> None:
        async with slots.slot(tenant):
            passed.append(tenant)
            await gate.wait()

    async with slots.slot("calm"):  # in company, a quarter of four is one
        pass
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
    slots = TenantSlots(1, 1, ManualClock(0))
    async with slots.slot("a"):
        pass
    with pytest.raises(RuntimeError):
        async with slots.slot("a"):
            raise RuntimeError
    async with slots.slot("a"):
        pass


async def test_a_tenant_that_is_alone_has_all_slots_again_a_second_after_the_other_left() -> None:
    clock = ManualClock(0)
    slots = TenantSlots(4, 10, clock)
    async with slots.slot("other"):
        pass
    clock.advance(1.5)
    async with slots.slot("a"), slots.slot("a"), slots.slot("a"), slots.slot("a"):
        pass


async def test_one_that_is_cancelled_while_it_waits_leaves_its_place() -> None:
    slots = TenantSlots(1, 2, ManualClock(0))

    async def send() -> None:
        async with slots.slot("a"):
            pass

    async with slots.slot("a"):
        waiting = asyncio.create_task(send())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        last = asyncio.create_task(send())
        await asyncio.sleep(0)
    await last
