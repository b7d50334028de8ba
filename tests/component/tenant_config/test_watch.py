"""WatchConfigs and the directory that follows it: a change is known everywhere within two seconds."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from obc.tenant_config.v1 import config_pb2, jwt_issuer_pb2
from obc.tenant_config.v1 import tenant_config_service_pb2 as pb
from obc_common.clients import TenantConfigClient
from obc_common.clock import ManualClock, SystemClock
from obc_common.directory import TenantDirectory
from obc_common.errors import PermissionDenied, Unauthenticated, Unavailable, from_rpc_error
from obc_common.identity import IdentityMinter
from obc_common.keys import generate_key, key_sha256
from obc_common.tasks import background
from tests.support.eventually import eventually
from tests.support.tenant_config import SECRET, SUITE, TenantConfig, admin_of, connected, running_tenant_config

WITHIN = 2.0  # what the contract promises


async def disable(service: TenantConfig, tenant_id: str) -> None:
    patch = config_pb2.TenantAnalyticsConfigPatch(enabled=False)
    request = pb.UpdateConfigRequest(tenant_id=tenant_id, config=patch)
    await service.call("UpdateConfig", request, pb.UpdateConfigResponse)


async def revoke(service: TenantConfig, tenant_id: str, key_id: str) -> None:
    request = pb.RevokeKeyRequest(tenant_id=tenant_id, key_id=key_id)
    await service.call("RevokeKey", request, pb.RevokeKeyResponse)


@asynccontextmanager
async def following(address: str) -> AsyncIterator[TenantDirectory]:
    """A directory that follows the service at an address."""
    client = TenantConfigClient(address, IdentityMinter(SECRET, "test"))
    directory = TenantDirectory(client, SystemClock(), watcher="test")
    try:
        async with background({"directory": directory.run}):
            yield directory
    finally:
        await client.close()


@pytest.fixture
async def directory(service: TenantConfig) -> AsyncIterator[TenantDirectory]:
    async with following(service.address) as directory:
        await directory.wait_ready(5)
        yield directory


class TestStream:
    async def test_it_begins_with_everything_and_goes_on_with_changes(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant("Watched")
        key = await service.make_key(tenant_id, "write")
        async with asyncio.timeout(10):
            await self._until_known(service, tenant_id)
            call = service.client.watch(pb.WatchConfigsRequest(watcher="test"), principal=SUITE)
            first = await call.read()
            assert isinstance(first, pb.WatchConfigsResponse)
            [state] = [state for state in first.snapshot.tenants if state.tenant.tenant_id == tenant_id]
            assert (state.tenant.name, state.config.version) == ("Watched", 1)
            assert [known.key_id for known in state.keys] == [key.key.key_id]
            await disable(service, tenant_id)
            while True:
                message = await call.read()
                assert isinstance(message, pb.WatchConfigsResponse)
                if message.WhichOneof("message") == "tenant":
                    break
            assert message.tenant.config.enabled is False
            assert message.revision > first.revision
            call.cancel()

    async def test_a_silent_stream_has_heartbeats(self, service: TenantConfig) -> None:
        call = service.client.watch(pb.WatchConfigsRequest(), principal=SUITE)
        started = time.monotonic()
        async with asyncio.timeout(10):
            while True:
                message = await call.read()
                assert isinstance(message, pb.WatchConfigsResponse)
                if message.WhichOneof("message") == "heartbeat":
                    break
        assert time.monotonic() - started < 4
        call.cancel()

    async def test_it_is_for_the_suites_own_processes(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        call = service.client.watch(pb.WatchConfigsRequest(), principal=admin_of(tenant_id))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert isinstance(from_rpc_error(refused.value), PermissionDenied)

    async def test_it_ends_when_the_service_drains(self, module_database: str) -> None:
        async with running_tenant_config(module_database) as service:
            call = service.client.watch(pb.WatchConfigsRequest(), principal=SUITE)
            assert await call.read() is not grpc.aio.EOF
            started = time.monotonic()
            await service.server.drain()
            async with asyncio.timeout(5):
                while await call.read() is not grpc.aio.EOF:
                    pass
            assert await call.code() is grpc.StatusCode.OK
            assert time.monotonic() - started < 2

    async def _until_known(self, service: TenantConfig, tenant_id: str) -> None:
        async def known() -> bool:
            call = service.client.watch(pb.WatchConfigsRequest(), principal=SUITE)
            first = await call.read()
            call.cancel()
            assert isinstance(first, pb.WatchConfigsResponse)
            return any(state.tenant.tenant_id == tenant_id and state.keys for state in first.snapshot.tenants)

        await eventually(known)


class TestDirectory:
    async def test_a_change_of_rules_arrives(self, service: TenantConfig, directory: TenantDirectory) -> None:
        tenant_id = await service.make_tenant()
        await eventually(lambda: directory.has_tenant(tenant_id), WITHIN)
        await disable(service, tenant_id)
        await eventually(lambda: (directory.rules(tenant_id) or pytest.fail()).enabled is False, WITHIN)
        assert directory.age_seconds() < 5

    async def test_a_subscriber_is_told_of_its_tenant_only(
        self, service: TenantConfig, directory: TenantDirectory
    ) -> None:
        own, other = await service.make_tenant("Own"), await service.make_tenant("Other")
        await eventually(lambda: directory.has_tenant(own) and directory.has_tenant(other), WITHIN)
        signals: list[int] = []

        async def follow() -> None:
            with directory.subscribe(own) as subscription:
                async for _ in subscription:
                    rules = directory.rules(own)
                    assert rules is not None
                    signals.append(rules.version)

        follower = asyncio.create_task(follow())
        await asyncio.sleep(0)
        await disable(service, other)
        await eventually(lambda: (directory.rules(other) or pytest.fail()).version == 2, WITHIN)
        assert signals == []
        await disable(service, own)
        await eventually(lambda: signals == [2], WITHIN)
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)

    async def test_a_revoked_key_disappears(self, service: TenantConfig, directory: TenantDirectory) -> None:
        tenant_id = await service.make_tenant()
        made = await service.make_key(tenant_id, "write")
        sha256 = key_sha256(made.secret)
        record = await directory.key(sha256)
        assert record is not None
        assert (record.tenant_id, record.kind, record.scopes) == (tenant_id, "write", frozenset({"ingest"}))
        await eventually(lambda: directory.key_is_live(made.key.key_id), WITHIN)
        await revoke(service, tenant_id, made.key.key_id)
        await eventually(lambda: not directory.key_is_live(made.key.key_id), WITHIN)
        assert await directory.key(sha256) is None

    async def test_issuers_and_operator_keys_arrive(self, service: TenantConfig, directory: TenantDirectory) -> None:
        issuer = jwt_issuer_pb2.JwtIssuer(
            issuer="https://watch.example", audience="obc", jwks_url="https://watch.example/jwks", algorithm="EdDSA"
        )
        put = await service.call("PutJwtIssuer", pb.PutJwtIssuerRequest(issuer=issuer), pb.PutJwtIssuerResponse)
        await eventually(lambda: "https://watch.example" in directory.issuers(), WITHIN)
        known = directory.issuers()["https://watch.example"]
        assert (known.tenant_claim, known.scopes_claim, known.algorithm) == ("tenant_id", "scope", "EdDSA")
        delete = pb.DeleteJwtIssuerRequest(issuer_id=put.issuer.issuer_id)
        await service.call("DeleteJwtIssuer", delete, pb.DeleteJwtIssuerResponse)
        await eventually(lambda: "https://watch.example" not in directory.issuers(), WITHIN)

        made = await service.call("CreateKey", pb.CreateKeyRequest(kind="operator"), pb.CreateKeyResponse)
        assert await directory.key(key_sha256(made.secret)) is not None
        await revoke(service, "", made.key.key_id)
        await eventually(lambda: not directory.key_is_live(made.key.key_id), WITHIN + 1)

    async def test_a_new_tenant_is_waited_for_and_one_that_does_not_exist_is_refused(
        self, service: TenantConfig, directory: TenantDirectory
    ) -> None:
        # Given a process that is asked about a tenant before it has heard of it
        tenant_id = str(uuid.uuid4())
        asked = asyncio.ensure_future(directory.rules_of_caller(tenant_id))
        await asyncio.sleep(0)
        # When the tenant is made
        request = pb.CreateTenantRequest(name="New", tenant_id=tenant_id)
        await service.call("CreateTenant", request, pb.CreateTenantResponse)
        # Then it is answered
        assert (await asked).tenant_id == tenant_id
        with pytest.raises(Unauthenticated, match="does not exist"):
            await directory.rules_of_caller(str(uuid.uuid4()))

    async def test_a_key_is_live_until_it_is_heard_of_but_not_for_ever(self, service: TenantConfig) -> None:
        # Given a key that another process accepted, and this one never hears of
        clock = ManualClock()
        client = TenantConfigClient(service.address, IdentityMinter(SECRET, "test"))
        directory = TenantDirectory(client, clock)
        try:
            async with background({"directory": directory.run}):
                await directory.wait_ready(5)
                key_id = str(uuid.uuid4())
                assert directory.key_is_live(key_id)
                # When the time of a change has passed
                clock.advance(3)
                # Then it has ended
                assert not directory.key_is_live(key_id)
        finally:
            await client.close()

    async def test_an_unknown_key_is_asked_for_once_and_then_remembered(self, service: TenantConfig) -> None:
        clock = ManualClock()
        client = CountingClient(service.address, IdentityMinter(SECRET, "test"))
        directory = TenantDirectory(client, clock)
        try:
            unknown = key_sha256(generate_key("write"))
            assert await asyncio.gather(*(directory.key(unknown) for _ in range(20))) == [None] * 20
            assert client.lookups == 1
            clock.advance(29)
            assert await directory.key(unknown) is None
            assert client.lookups == 1
            clock.advance(2)
            assert await directory.key(unknown) is None
            assert client.lookups == 2
        finally:
            await client.close()

    async def test_a_key_that_the_copy_does_not_know_brings_its_tenant(self, service: TenantConfig) -> None:
        client = CountingClient(service.address, IdentityMinter(SECRET, "test"))
        directory = TenantDirectory(client, SystemClock())
        try:
            tenant_id = await service.make_tenant()
            sha256 = key_sha256((await service.make_key(tenant_id, "write")).secret)
            records = await asyncio.gather(*(directory.key(sha256) for _ in range(20)))
            assert {record.tenant_id for record in records if record is not None} == {tenant_id}
            assert directory.has_tenant(tenant_id)
            await directory.key(sha256)
            assert client.lookups == 1
        finally:
            await client.close()

    async def test_key_uses_are_stored(self, service: TenantConfig, directory: TenantDirectory) -> None:
        tenant_id = await service.make_tenant()
        key_id = (await service.make_key(tenant_id)).key.key_id
        directory.note_use(key_id)
        await directory.flush_key_use()
        listing = await service.call("ListKeys", pb.ListKeysRequest(tenant_id=tenant_id), pb.ListKeysResponse)
        assert listing.keys[0].last_used_at_ms == pytest.approx(time.time() * 1000, abs=30_000)


class TestOutages:
    async def test_the_last_good_copy_goes_on_while_the_service_is_away(self, database: str) -> None:
        async with running_tenant_config(database) as service:
            tenant_id = await service.make_tenant()
            sha256 = key_sha256((await service.make_key(tenant_id, "write")).secret)
            port = service.server.port
            async with following(service.address) as directory:
                await directory.wait_ready(5)
                await eventually(lambda: directory.has_tenant(tenant_id), WITHIN)
                await directory.key(sha256)
                await service.server.drain()
                # The service is gone.
                assert directory.rules(tenant_id) is not None
                assert await directory.key(sha256) is not None
                with pytest.raises(Unavailable) as unknown:
                    await directory.key(key_sha256(generate_key("write")))
                assert unknown.value.reason == "TENANT_CONFIG_UNAVAILABLE"
                # Another one takes its place, with a change that was made in between.
                async with running_tenant_config(database, grpc_port=port) as successor:

                    async def disabled() -> bool:
                        try:
                            await disable(successor, tenant_id)
                        except Unavailable:  # connections to the port are shared, and wait before they try again
                            return False
                        return True

                    await eventually(disabled, 10)
                    await eventually(lambda: (directory.rules(tenant_id) or pytest.fail()).enabled is False, 20)

    async def test_without_a_first_snapshot_nothing_is_ready(self) -> None:
        async with following("127.0.0.1:1") as directory:
            with pytest.raises(Unavailable):
                await directory.wait_ready(0.2)
            assert not directory.is_ready()
            assert directory.age_seconds() == float("inf")

    async def test_a_change_made_by_another_replica_arrives(self, database: str) -> None:
        async with (
            running_tenant_config(database) as one,
            running_tenant_config(database) as two,
            following(two.address) as directory,
        ):
            await directory.wait_ready(5)
            tenant_id = await one.make_tenant()
            await eventually(lambda: directory.has_tenant(tenant_id), WITHIN)

    async def test_a_lost_notification_costs_a_second_at_most(self, database: str) -> None:
        async with running_tenant_config(database) as service, following(service.address) as directory:
            await directory.wait_ready(5)
            tenant_id = await service.make_tenant()
            await eventually(lambda: directory.has_tenant(tenant_id), WITHIN)
            async with connected(database) as connection, connection.transaction():
                # As a change would be whose notification nobody hears.
                await connection.execute(
                    """INSERT INTO tenant_configs (tenant_id, version, config, created_by)
                       SELECT tenant_id, 2, config || '{"enabled": false}', 'test' FROM tenant_configs
                       WHERE tenant_id = $1""",
                    tenant_id,
                )
                await connection.execute(
                    "INSERT INTO config_changes (kind, tenant_id) VALUES ('tenant', $1)", tenant_id
                )
            await eventually(lambda: (directory.rules(tenant_id) or pytest.fail()).enabled is False, WITHIN)

    async def test_the_service_follows_again_after_its_connections_were_cut(self, database: str) -> None:
        async with running_tenant_config(database) as service, following(service.address) as directory:
            await directory.wait_ready(5)
            async with connected(database) as connection:
                await connection.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE application_name = 'obc-tenant-config' AND datname = current_database()"""
                )

            async def made() -> str:
                try:
                    return await service.make_tenant()
                except Unavailable:
                    return ""

            tenant_id = await eventually(made, 10)
            await eventually(lambda: directory.has_tenant(tenant_id), 10)


class CountingClient(TenantConfigClient):
    """The real client, counting its look-ups."""

    lookups = 0

    async def resolve_key(self, *args, **kwargs):  # type: ignore[no-untyped-def]  # passes everything on
        self.lookups += 1
        return await super().resolve_key(*args, **kwargs)
