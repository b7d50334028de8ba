"""`make test-soak`: half of what the machine can do, for long, and nothing grows."""

import asyncio
import os
import random
import time
from pathlib import Path

import asyncpg
import pytest

from tests.support.chaos.campaign import SETTINGS
from tests.support.chaos.stack import broken_stack
from tests.support.soak.samples import Samples
from tests.support.soak.traffic import Traffic

_SECONDS = float(os.environ.get("OBC_SOAK_SECONDS") or 1200)
_TENANTS = 2
_STARTING_SECONDS = 4.0
_MEASURING_SECONDS = 8.0
_SAMPLES = 150


@pytest.mark.timeout(_SECONDS + 400)
async def test_half_of_the_maximum_for_long_makes_nothing_grow(
    server_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given the maximum, measured with everything that is asked of the product besides
    async with broken_stack(server_folder / "soak", random.Random(1), SETTINGS) as stack:
        tenants = [await stack.product.new_tenant() for _ in range(_TENANTS)]
        traffic = Traffic(stack.product, tenants)
        load = asyncio.create_task(traffic.run())
        try:
            await asyncio.sleep(_STARTING_SECONDS)
            before = traffic.events
            await asyncio.sleep(_MEASURING_SECONDS)
            maximum = (traffic.events - before) / _MEASURING_SECONDS
            traffic.pace(maximum / 2)

            # when it works at half of that
            samples, started, before = Samples(stack), time.monotonic(), traffic.events
            while time.monotonic() - started < _SECONDS:
                await samples.take()
                await asyncio.sleep(max(0.5, _SECONDS / _SAMPLES))
            rate = (traffic.events - before) / (time.monotonic() - started)
        finally:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
        await samples.rest()
        stored = await _stored(stack.product.database_url)
    table, wrong = samples.judge()
    with capsys.disabled():
        print(f"\nmaximum {maximum:,.0f} events/s; {rate:,.0f} events/s for {_SECONDS:g} s\n{table}", flush=True)
    # then
    assert not wrong
    assert not traffic.errors
    # Batches whose sender was cut off at the end may be stored too.
    assert stored >= traffic.events == traffic.results["accepted"] + traffic.results["duplicate"]
    assert traffic.retries < _SECONDS  # connections that end because of their age, and nothing else
    assert rate > maximum * 0.4


async def _stored(database_url: str) -> int:
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=300)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM analytics_events"))
    finally:
        await connection.close()
