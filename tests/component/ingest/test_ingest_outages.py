import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from obc_common.errors import DomainError, Unavailable
from obc_common.live import live_channel
from obc_dev.servers.postgres import PostgresServer
from obc_dev.servers.redis import RedisServer
from obc_migrations.runner import migrate
from tests.support.eventually import eventually
from tests.support.ingest import Ingest, event, running_ingest
from tests.support.tenant_config import TenantConfig, connected


@pytest.fixture
async def fragile(
    own_postgres: PostgresServer, redis_server: RedisServer, tenant_config: TenantConfig
) -> AsyncIterator[Ingest]:
    """An ingest service whose stores are the test's to stop; TenantConfig's database goes on."""
    dsn = own_postgres.dsn()
    await migrate(dsn)
    async with running_ingest(dsn, redis_server.url, tenant_config) as running:
        yield running


async def test_without_postgresql_nothing_is_promised_and_the_service_recovers_unaided(
    fragile: Ingest, own_postgres: PostgresServer
) -> None:
    tenant = await fragile.make_tenant()
    events = [event() for _ in range(50)]
    assert (await fragile.send(tenant, events[:10]))["accepted"] == 10

    own_postgres.stop()
    started = time.monotonic()
    for _ in range(3):
        with pytest.raises(Unavailable) as refused:
            await fragile.send(tenant, events)
        assert refused.value.retry_after is not None
        assert refused.value.retry_after > 0
    assert time.monotonic() - started < 10

    own_postgres.start()

    async def accepted() -> bool:
        try:
            answer = await fragile.send(tenant, events)
        except Unavailable:
            return False
        assert answer["accepted"] + answer["duplicate"] == 50
        return True

    await eventually(accepted, timeout=15)
    assert len(await fragile.stored(tenant)) == 50


class Link:
    """A TCP link to a server that can be made to swallow everything, as a broken network does."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> "Link":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def swallow(self) -> None:
        self._open.clear()

    def mend(self) -> None:
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                await self._open.wait()
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()


@pytest.mark.parametrize(
    ("breaks", "mends"),
    [
        (
            ("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"),
            ("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"),
        ),
        (
            (
                "CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$",
                "CREATE TRIGGER disk_full BEFORE INSERT ON analytics_events FOR EACH ROW EXECUTE FUNCTION disk_full()",
            ),
            ("DROP TRIGGER disk_full ON analytics_events",),
        ),
    ],
    ids=["read_only", "disk_full"],
)
async def test_line_33_a_database_that_is_read_only_or_full_is_a_503(
    fragile: Ingest, breaks: tuple[str, ...], mends: tuple[str, ...]
) -> None:
    # given a database that takes nothing any more
    tenant = await fragile.make_tenant()
    events = [event() for _ in range(20)]
    for statement in breaks:
        await fragile.rows(statement)

    # then nothing is promised (a reload reaches a session at its next statement)
    async def refused() -> bool:
        try:
            await fragile.send(tenant, [event()])
        except Unavailable as error:
            return error.retry_after is not None
        return False

    await eventually(refused, timeout=10)
    with pytest.raises(Unavailable):
        await fragile.send(tenant, events)
    # and afterwards the same events are accepted, none of them a bad row
    for statement in mends:
        async with connected(fragile.dsn) as connection:
            await connection.execute("SET default_transaction_read_only = off")
            await connection.execute(statement)

    async def accepted() -> bool:
        try:
            return bool((await fragile.send(tenant, events))["accepted"] == 20)
        except Unavailable:
            return False

    await eventually(accepted, timeout=15)
    assert await fragile.bad_rows(tenant) == []


async def test_a_network_that_swallows_everything_is_a_503_in_time_and_no_more(
    module_database: str, redis_url: str, tenant_config: TenantConfig, postgres: PostgresServer
) -> None:
    async with Link(postgres.port) as link:
        dsn = module_database.replace(f":{postgres.port}/", f":{link.port}/")
        async with running_ingest(dsn, redis_url, tenant_config, flush_timeout_seconds=0.5) as ingest:
            tenant = await ingest.make_tenant()
            assert (await ingest.send(tenant, [event()]))["accepted"] == 1
            events = [event() for _ in range(10)]

            link.swallow()
            started = time.monotonic()
            with pytest.raises(Unavailable):
                await ingest.send(tenant, events)
            took = time.monotonic() - started
            link.mend()

            async def accepted() -> bool:
                try:
                    answer = await ingest.send(tenant, events)
                except Unavailable:
                    return False
                return bool(answer["accepted"] + answer["duplicate"] == 10)

            await eventually(accepted, timeout=15)
            stored = await tenant_rows(module_database, tenant)
    assert took < 3
    assert stored == 11


async def tenant_rows(dsn: str, tenant: str) -> int:
    async with connected(dsn) as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM analytics_events WHERE tenant_id = $1", tenant)
    return count


async def test_what_was_accepted_survives_a_crash_of_postgresql(fragile: Ingest, own_postgres: PostgresServer) -> None:
    tenant = await fragile.make_tenant()
    accepted: set[str] = set()
    sending = True

    async def send() -> None:
        while sending:
            events = [event() for _ in range(20)]
            try:
                answer = await fragile.send(tenant, events)
            except DomainError:
                return
            accepted.update(result["event_id"] for result in answer["results"] if result["result"] == "accepted")

    senders = [asyncio.create_task(send()) for _ in range(8)]
    await eventually(lambda: len(accepted) >= 500, timeout=20)
    own_postgres.kill()
    sending = False
    await asyncio.gather(*senders)
    await asyncio.to_thread(own_postgres.start)

    stored = {str(row["event_id"]) for row in await fragile.stored(tenant)}
    assert accepted <= stored


async def test_without_redis_events_are_accepted_as_before(fragile: Ingest, redis_server: RedisServer) -> None:
    tenant = await fragile.make_tenant()
    await fragile.send(tenant, [event()])

    redis_server.kill()
    started = time.monotonic()
    for _ in range(20):
        assert (await fragile.send(tenant, [event() for _ in range(10)]))["accepted"] == 10

    assert time.monotonic() - started < 5
    redis_server.start()
    client = Redis.from_url(redis_server.url)
    async with client.pubsub() as feed:
        await feed.subscribe(live_channel(tenant))

        async def live_again() -> bool:
            await fragile.send(tenant, [event()])
            message = await feed.get_message(ignore_subscribe_messages=True, timeout=0.2)
            return message is not None

        await eventually(live_again, timeout=15)
    await client.aclose()
