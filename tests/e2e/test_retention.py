"""Retention as a tenant sees it, and the worker as the health page shows it."""

import time

import aiohttp

from obc_dev.api import Api
from tests.support.eventually import eventually
from tests.support.product import Product, RestWay, Tenant, new_event

DAY_MS = 86_400_000


async def test_events_older_than_the_tenant_keeps_are_gone_everywhere(product: Product, tenant: Tenant) -> None:
    now = int(time.time() * 1000)
    async with RestWay(product, tenant) as way:
        results = await way.send([new_event(timestamp=now - days * DAY_MS) for days in (40, 3, 0)])
    assert [result["result"] for result in results] == ["accepted"] * 3

    async def listed() -> int:
        async with Api(product.url, tenant.secret_key) as api:
            return len((await api.get("/api/analytics/events"))["events"])

    async def counted() -> float:
        async with Api(product.url, tenant.secret_key) as api:
            metrics = await api.get(f"/api/analytics/metrics?metrics=events&from={now - 60 * DAY_MS}&to={now + DAY_MS}")
        return float(metrics["series"][0]["total"])

    async def both_are(count: int) -> bool:
        return len(await product.stored(tenant)) == await listed() == await counted() == count

    await eventually(lambda: both_are(3), timeout=20, interval=0.2)
    await product.change_rules(tenant, retention_days=7)
    await eventually(lambda: both_are(2), timeout=30, interval=0.2)


async def test_health_says_that_the_worker_is_well(product: Product) -> None:
    async def worker() -> bool:
        async with aiohttp.ClientSession() as http, http.get(f"{product.url}/health") as answer:
            return bool((await answer.json())["services"]["worker"] == "ok")

    await eventually(worker, timeout=20)
