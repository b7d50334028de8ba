"""Everything a running product does all day: events over all ways, questions, live feeds, sockets that come and go."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable

import aiohttp

from obc_dev.api import Api
from tests.support.chaos.connections import Connection, GrpcConnection, RestConnection, SendError, SocketConnection
from tests.support.product import Event, Product, Result, Tenant

# Questions are about the last minutes: about a whole growing day they would be larger ones each time, and so would the
# memory that they take.
_ASKED_MS = 120_000
# Batch size and workers by way: what browsers, pages and services do.
_SIZES = {"rest": 50, "ws": 20, "grpc": 200}
_WORKERS = 4
_QUESTIONS_PAUSE = 1.0
_CHURN_PAUSE = 0.5


class Traffic:
    """Load on a product, as fast as it goes or at a rate.

    Attributes:
        results: events by result.
        errors: what went wrong; nothing may.
        retries: batches sent again.
    """

    def __init__(self, product: Product, tenants: list[Tenant]) -> None:
        self._product = product
        self._tenants = tenants
        self._rate = 0.0
        self._due = 0.0
        self.results: Counter[str] = Counter()
        self.errors: list[str] = []
        self.retries = 0

    @property
    def events(self) -> int:
        """Events answered so far."""
        return self.results.total()

    def pace(self, events_per_second: float) -> None:
        """From now on this many events per second; 0 = as fast as it goes."""
        self._rate, self._due = events_per_second, time.monotonic()

    async def run(self) -> None:
        """Until cancelled. Errors are collected, not raised: a soak is to be seen to its end."""
        async with asyncio.TaskGroup() as group:
            for tenant in self._tenants:
                for way in (
                    RestConnection(self._product.url, tenant.write_key),
                    SocketConnection(self._product.url, tenant.write_key),
                    GrpcConnection(self._product.ingest_address, tenant.write_key),
                ):
                    group.create_task(self._send_all_day(way))
                for body in (self._ask, self._watch, self._come_and_go):
                    group.create_task(self._again_and_again(body, tenant))

    async def _send_all_day(self, connection: Connection) -> None:
        async def work() -> None:
            while True:
                await self._turn(_SIZES[connection.way])
                try:
                    results = await self._until_answered(connection, _events(_SIZES[connection.way]))
                except Exception as error:
                    self._note(f"{connection.way}: {type(error).__name__}: {error}")
                    await asyncio.sleep(1)
                else:
                    self.results.update(result["result"] for result in results)

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(_WORKERS):
                    workers.create_task(work())
        finally:
            await connection.close()

    async def _until_answered(self, connection: Connection, events: list[Event]) -> list[Result]:
        """A connection that has grown old ends, with a batch under way now and then: the same ids again."""
        while True:
            try:
                return await connection.send(events)
            except SendError:
                self.retries += 1
                await asyncio.sleep(0.1)

    async def _turn(self, size: int) -> None:
        if not self._rate:
            return
        # A pause of the machine is not caught up with: that would be more than the rate.
        self._due = max(self._due + size / self._rate, time.monotonic() - 1)
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))

    async def _again_and_again(self, body: Callable[[Tenant], Awaitable[None]], tenant: Tenant) -> None:
        while True:
            try:
                await body(tenant)
            except Exception as error:
                self._note(f"{body.__name__}: {type(error).__name__}: {error}")
                await asyncio.sleep(1)

    async def _ask(self, tenant: Tenant) -> None:
        now = int(time.time() * 1000)
        window = {"from": str(now - _ASKED_MS), "to": str(now)}
        async with Api(self._product.url, tenant.secret_key) as api:
            await api.get("/v1/metrics", {"metrics": "events", "interval": "minute", **window})
            await api.get("/v1/dashboard", window)
            await api.get("/v1/events", {"page_size": "50"})
        await asyncio.sleep(_QUESTIONS_PAUSE)

    async def _watch(self, tenant: Tenant) -> None:
        headers = {"Authorization": f"Bearer {tenant.secret_key}"}
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
        async with (
            aiohttp.ClientSession(self._product.url, timeout=timeout, headers=headers) as http,
            http.get("/v1/live") as answer,
        ):
            answer.raise_for_status()
            async for _ in answer.content.iter_any():
                continue

    async def _come_and_go(self, tenant: Tenant) -> None:
        for connection in (
            SocketConnection(self._product.url, tenant.write_key),
            GrpcConnection(self._product.ingest_address, tenant.write_key),
        ):
            try:
                results = await self._until_answered(connection, _events(1))
                self.results.update(result["result"] for result in results)
            finally:
                await connection.close()
        await asyncio.sleep(_CHURN_PAUSE)

    def _note(self, error: str) -> None:
        if len(self.errors) < 20:
            self.errors.append(error[:300])


def _events(count: int) -> list[Event]:
    now = int(time.time() * 1000)
    return [
        {
            "event_id": str(uuid.uuid4()),
            "event_name": "page_view",
            "event_category": "navigation",
            "session_id": f"s-{now // 60_000}-{(now // 1000 + index) % 5000}",
            "user_id": f"u-{(now // 1000 + index) % 5000}",
            "timestamp": now,
            "page_url": f"https://app.example.com/p/{index % 30}",
            "properties": {"plan": "pro", "n": index},
        }
        for index in range(count)
    ]
