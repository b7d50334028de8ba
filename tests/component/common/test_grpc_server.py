"""The server harness, with a real server and a real channel."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from obc.query.v1 import live_pb2, metrics_pb2, query_service_pb2_grpc
from obc_common.clients import QueryClient
from obc_common.clock import SystemClock
from obc_common.context import (
    Principal,
    RequestInfo,
    correlation_id_var,
    current_correlation_id,
    current_principal,
    current_request,
)
from obc_common.errors import DomainError, InvalidArgument, Unauthenticated, from_rpc_error
from obc_common.health import HealthRegistry
from obc_common.identity import IDENTITY_HEADER, IdentityMinter, IdentityVerifier
from obc_common.server import GrpcServer
from obc_common.settings import ServiceSettings

SERVICE = "obc.query.v1.QueryService"
SECRET = "s" * 32
ALICE = Principal("3f1c0de0-0000-4000-8000-000000000001", "key-1", "secret", frozenset({"query"}), key_id="key-1")


class IdentityOnly:
    """Believes internal identities and nothing else."""

    def __init__(self) -> None:
        self._verifier = IdentityVerifier(SECRET, SERVICE)

    async def authenticate(self, metadata: dict[str, str | bytes]) -> Principal:
        token = metadata.get(IDENTITY_HEADER)
        if not isinstance(token, str):
            raise Unauthenticated("NO_CREDENTIAL", "a credential is needed")
        return self._verifier.verify(token)


@dataclass
class Probe(query_service_pb2_grpc.QueryServiceServicer):
    """Answers with what it was told to, and keeps what it saw."""

    failure: Exception | None = None
    seen: list[tuple[Principal, str, RequestInfo]] = field(default_factory=list)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    server: GrpcServer | None = None

    async def GetMetrics(self, request, context):  # type: ignore[no-untyped-def]  # servicer override in a test
        self.seen.append((current_principal(), current_correlation_id(), current_request()))
        if self.failure is not None:
            raise self.failure
        if request.interval == "wait":
            self.entered.set()
            await self.release.wait()
        return metrics_pb2.GetMetricsResponse(timezone="UTC")

    async def StreamLive(self, request, context):  # type: ignore[no-untyped-def]  # servicer override in a test
        yield live_pb2.StreamLiveResponse(events=live_pb2.LiveEvents(skipped=1))
        assert self.server is not None
        await self.server.draining.wait()
        yield live_pb2.StreamLiveResponse(events=live_pb2.LiveEvents(skipped=2))


@dataclass
class Harness:
    server: GrpcServer
    client: QueryClient
    probe: Probe
    health: HealthRegistry

    def channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.server.port}")


async def broken() -> None:
    raise RuntimeError("disk on fire")


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    settings = ServiceSettings(
        internal_secret=SECRET, max_concurrent_calls=1, drain_delay_seconds=0, drain_grace_seconds=5
    )
    health = HealthRegistry(SystemClock())
    server = GrpcServer(settings, service="query", authenticator=IdentityOnly(), health=health, port=0)
    probe = Probe(server=server)  # type: ignore[abstract]  # the service's other methods are never called
    server.add(query_service_pb2_grpc.add_QueryServiceServicer_to_server, probe, SERVICE)
    await server.start()
    client = QueryClient(f"127.0.0.1:{server.port}", IdentityMinter(SECRET, "test"))
    yield Harness(server, client, probe, health)
    probe.release.set()
    await client.close()
    await server.stop()


async def ask(harness: Harness, interval: str = "") -> metrics_pb2.GetMetricsResponse:
    return await harness.client.get_metrics(
        metrics_pb2.GetMetricsRequest(interval=interval), principal=ALICE, timeout=5
    )


async def test_a_handler_sees_the_caller_the_correlation_id_and_the_request(harness: Harness) -> None:
    info = RequestInfo("203.0.113.9", "Mozilla/5.0 (ü)", "browser/1", "ws", True)
    token = correlation_id_var.set("corr-7")
    try:
        await harness.client.call("GetMetrics", metrics_pb2.GetMetricsRequest(), principal=ALICE, timeout=5, info=info)
    finally:
        correlation_id_var.reset(token)
    assert harness.probe.seen == [(ALICE, "corr-7", info)]


async def test_a_domain_error_arrives_with_reason_field_and_delay(harness: Harness) -> None:
    harness.probe.failure = InvalidArgument(
        "BAD_RANGE", "the end is before the start", field="to", metadata={"to": "1"}, retry_after=1.5
    )
    with pytest.raises(InvalidArgument) as caught:
        await ask(harness)
    error = caught.value
    assert (error.reason, error.field, error.metadata, error.retry_after) == ("BAD_RANGE", "to", {"to": "1"}, 1.5)


async def test_an_unexpected_error_tells_the_caller_nothing(harness: Harness) -> None:
    harness.probe.failure = ValueError("password=hunter2")
    with pytest.raises(DomainError) as caught:
        await ask(harness)
    assert caught.value.reason == "INTERNAL"
    assert "hunter2" not in str(caught.value)


async def test_a_call_without_credential_is_unauthenticated(harness: Harness) -> None:
    async with harness.channel() as channel:
        stub = query_service_pb2_grpc.QueryServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetMetrics(metrics_pb2.GetMetricsRequest(), timeout=5)
    assert from_rpc_error(caught.value).reason == "NO_CREDENTIAL"


async def test_an_identity_for_another_service_is_refused(harness: Harness) -> None:
    token = IdentityMinter(SECRET, "test").mint(ALICE, "obc.ingest.v1.IngestService")
    async with harness.channel() as channel:
        stub = query_service_pb2_grpc.QueryServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetMetrics(metrics_pb2.GetMetricsRequest(), timeout=5, metadata=((IDENTITY_HEADER, token),))
    assert from_rpc_error(caught.value).reason == "BAD_IDENTITY"


async def test_bytes_that_are_no_protobuf_are_an_invalid_argument(harness: Harness) -> None:
    token = IdentityMinter(SECRET, "test").mint(ALICE, SERVICE)
    async with harness.channel() as channel:
        call: Any = channel.unary_unary(f"/{SERVICE}/GetMetrics")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"\xff\xff\xff", timeout=5, metadata=((IDENTITY_HEADER, token),))
    assert from_rpc_error(caught.value).reason == "BAD_MESSAGE"


async def test_a_full_server_refuses_calls_and_stays_healthy(harness: Harness) -> None:
    waiting = asyncio.create_task(ask(harness, "wait"))
    await asyncio.wait_for(harness.probe.entered.wait(), 5)
    async with harness.channel() as channel:
        stub = query_service_pb2_grpc.QueryServiceStub(channel)
        token = IdentityMinter(SECRET, "test").mint(ALICE, SERVICE)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetMetrics(metrics_pb2.GetMetricsRequest(), timeout=5, metadata=((IDENTITY_HEADER, token),))
        assert from_rpc_error(caught.value).reason == "OVERLOADED"
        health: Any = health_pb2_grpc.HealthStub(channel)  # its stub file knows no methods
        answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    harness.probe.release.set()
    assert (await waiting).timezone == "UTC"


async def test_health_tells_which_component_is_not_well(harness: Harness) -> None:
    harness.health.register("database", broken)
    await harness.health.check_now()
    publisher = asyncio.create_task(harness.server.run_verdicts())
    async with harness.channel() as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its stub file knows no methods
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        async with asyncio.timeout(5):
            async for update in watch:
                if update.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                    break
        component = await stub.Check(health_pb2.HealthCheckRequest(service="component.database"))
        alive = await stub.Check(health_pb2.HealthCheckRequest())
        watch.cancel()
    publisher.cancel()
    assert component.status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert alive.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_drain_ends_streams_after_their_last_message(harness: Harness) -> None:
    call = harness.client.stream_live(live_pb2.StreamLiveRequest(), principal=ALICE)
    messages = aiter(call)
    assert (await anext(messages)).events.skipped == 1
    drain = asyncio.create_task(harness.server.drain())
    assert [message.events.skipped async for message in messages] == [2]
    await asyncio.wait_for(drain, 5)
