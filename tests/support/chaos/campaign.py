"""One run: load, faults one after the other, recovery after each, and the reckoning at the end."""

import asyncio
import random
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from obc_dev.api import Api, ApiError
from tests.support.chaos.connections import Connection, GrpcConnection, RestConnection, SocketConnection
from tests.support.chaos.faults import Kill, Together
from tests.support.chaos.journal import Journal
from tests.support.chaos.load import EXCLUDED_EVENTS, EventMaker, Sender
from tests.support.chaos.stack import BrokenStack
from tests.support.chaos.verdict import compare, in_postgresql, in_read_model, unbalanced
from tests.support.eventually import eventually
from tests.support.product import Tenant

SETTINGS = {
    # Limits have tests of their own; here they would only slow the load down.
    "ANALYTICS_INGEST_RATE_PER_SECOND": "1000000",
    "ANALYTICS_INGEST_BURST": "1000000",
    "ANALYTICS_API_RATE_PER_SECOND": "10000",
    "ANALYTICS_API_BURST": "10000",
    # Connections grow old while the test runs.
    "ANALYTICS_STREAM_MAX_AGE_SECONDS": "25",
    "ANALYTICS_SOCKET_MAX_AGE_SECONDS": "20",
    "ANALYTICS_SOCKET_AGE_JITTER_SECONDS": "5",
}
RECOVERY_SECONDS = 45.0
_FINISH_SECONDS = 90.0
_CATCH_UP_SECONDS = 60.0
_SHARED_IDS = 400
_MOST_SHOWN = 20


@dataclass(slots=True)
class Report:
    """What happened."""

    faults: list[tuple[str, float]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    states: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    acked: dict[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """For the reader of the test's output."""
        lines = ["", f"{'fault':<70} {'all well after':>14}"]
        lines += [f"{name:<70} {seconds:>12.1f} s" for name, seconds in self.faults]
        lines.append(f"batches acknowledged: {self.acked}; tries that failed: {sum(self.failures.values())}")
        lines += [f"    {count:>6} {reason}" for reason, count in sorted(self.failures.items())]
        lines.append(f"ids by first answer: {self.states}")
        lines += [f"WRONG: {one}" for one in self.wrong[:_MOST_SHOWN]]
        if len(self.wrong) > _MOST_SHOWN:
            lines.append(f"WRONG: and {len(self.wrong) - _MOST_SHOWN} more")
        return "\n".join(lines)


class Campaign:
    """Load on a running stack.

    Args:
        stack: what is broken.
        rng: decides everything that is random.
        tenants: how many; each sends over REST, WebSocket and gRPC.
        batch_size: events of a batch.
        pause: mean seconds a worker rests between batches.
    """

    def __init__(
        self, stack: BrokenStack, rng: random.Random, *, tenants: int = 3, batch_size: int = 20, pause: float = 0.25
    ) -> None:
        self._stack = stack
        self._rng = rng
        self._count = tenants
        self._batch_size = batch_size
        self._pause = pause
        self._tenants: list[Tenant] = []
        self.journal = Journal()
        self.report = Report()

    async def run(self, faults: Iterable[Together], seconds: float) -> Report:
        """Lets faults happen until the time is over, then ends the stack and compares. At least one fault."""
        senders = await self._senders()
        # A process that keeps dying ends the run: nobody helps it up.
        gave_up = asyncio.ensure_future(self._stack.supervisor.wait())
        load = asyncio.gather(*(sender.run() for sender in senders))
        try:
            started = time.monotonic()
            for fault in faults:
                await self._one(fault, load, gave_up)
                if time.monotonic() - started > seconds:
                    break
            for sender in senders:
                sender.finish()
            async with asyncio.timeout(_FINISH_SECONDS):
                await load
        finally:
            load.cancel()
            gave_up.cancel()
            await asyncio.gather(load, gave_up, return_exceptions=True)
        await self._reckon()
        return self.report

    async def _one(self, fault: Together, load: "asyncio.Future[list[None]]", gave_up: "asyncio.Future[None]") -> None:
        if any(isinstance(one, Kill) and one.name == "ingest" for one in fault.faults):
            self.report.wrong += unbalanced(await self._stack.metrics("ingest"))
        await fault.happen(self._stack)
        over = time.monotonic()
        before = dict(self.journal.acked_batches)

        async def well() -> bool:
            for future in (load, gave_up):
                if future.done():
                    future.result()
                    raise AssertionError("the load or the supervisor ended by itself")
            acked = self.journal.acked_batches
            return all(acked[way] > before.get(way, 0) for way in ("rest", "ws", "grpc")) and await self._serves()

        await eventually(well, RECOVERY_SECONDS, interval=0.2, message=f"recovery from {fault}")
        self.report.faults.append((str(fault), time.monotonic() - over))

    async def _serves(self) -> bool:
        return await self._stack.all_ready() and await self._visible(self._tenants[0]) is not None

    async def _visible(self, tenant: Tenant) -> int | None:
        """The number of events that a question is answered with; None = no answer."""
        try:
            async with asyncio.timeout(5), Api(self._stack.product.url, tenant.secret_key) as api:
                hour = 3_600_000
                now = int(time.time() * 1000)
                answer = await api.get(
                    "/v1/metrics",
                    {"metrics": "events", "from": str(now - 24 * hour), "to": str(now + hour), "interval": "day"},
                )
        except (ApiError, OSError):
            return None
        except Exception as error:
            if type(error).__module__.startswith("aiohttp"):
                return None
            raise
        return int(answer["series"][0]["total"] or 0)

    async def _senders(self) -> list[Sender]:
        product = self._stack.product
        shared = [str(uuid.UUID(int=self._rng.getrandbits(128), version=4)) for _ in range(_SHARED_IDS)]
        senders = []
        for _ in range(self._count):
            tenant = await product.new_tenant()
            await product.change_rules(tenant, excluded_events=EXCLUDED_EVENTS)
            self._tenants.append(tenant)
            ways: tuple[Connection, ...] = (
                RestConnection(product.url, tenant.write_key),
                SocketConnection(product.url, tenant.write_key),
                GrpcConnection(product.ingest_address, tenant.write_key),
            )
            for index, way in enumerate(ways):
                rng = random.Random(self._rng.random())
                maker = EventMaker(tenant.tenant_id, self.journal, shared[index :: len(ways)], rng)
                senders.append(
                    Sender(
                        way, tenant.tenant_id, maker, self.journal, rng, batch_size=self._batch_size, pause=self._pause
                    )
                )
        return senders

    async def _reckon(self) -> None:
        wrong = self.report.wrong
        wrong += unbalanced(await self._stack.metrics("ingest"))
        stored, found = await in_postgresql(self._stack.product.database_url)
        wrong += found
        for tenant in self._tenants:
            rows = sum(count for (tenant_id, _), count in stored.items() if tenant_id == tenant.tenant_id)

            async def all_visible(tenant: Tenant = tenant, rows: int = rows) -> bool:
                return await self._visible(tenant) == rows

            try:
                await eventually(all_visible, _CATCH_UP_SECONDS, interval=0.2)
            except AssertionError:
                wrong.append(f"of {rows} events of {tenant.tenant_id} a question sees {await self._visible(tenant)}")
        await self._stack.supervisor.stop()
        copied, found = await asyncio.to_thread(in_read_model, self._stack)
        wrong += found + compare(self.journal, stored, copied)
        self.report.states = self.journal.states()
        self.report.failures = dict(self.journal.failures)
        self.report.acked = dict(self.journal.acked_batches)
