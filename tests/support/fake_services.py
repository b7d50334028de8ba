"""In-process gRPC servers that stand for the three services, for tests of the gateway.

Real servers, real identities, real errors; only what a service would do is scripted. A call that the test did not
expect fails it at the end, as does one without a valid identity.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from google.protobuf.message import Message

from obc.ingest.v1 import ingest_service_pb2 as ingest_pb
from obc.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from obc.query.v1 import live_pb2
from obc.query.v1 import query_service_pb2_grpc as query_grpc
from obc.tenant_config.v1 import config_pb2, key_pb2, tenant_pb2
from obc.tenant_config.v1 import tenant_config_service_pb2 as tenant_pb
from obc.tenant_config.v1 import tenant_config_service_pb2_grpc as tenant_grpc
from obc_common.clock import SystemClock
from obc_common.context import Principal, RequestInfo, current_principal, current_request
from obc_common.errors import DomainError, InvalidArgument, NotFound, Unimplemented
from obc_common.health import HealthRegistry
from obc_common.identity import IDENTITY_HEADER, IdentityVerifier
from obc_common.keys import KeyKind, generate_key, key_sha256
from obc_common.server import GrpcServer
from obc_common.settings import ServiceSettings
from obc_common.tasks import background

SECRET = "a secret of the tests, long enough"
TENANT_A = "0190a000-0000-7000-8000-00000000000a"
TENANT_B = "0190b000-0000-7000-8000-00000000000b"


@dataclass(frozen=True)
class Call:
    """One call as a fake saw it."""

    method: str
    request: Any
    principal: Principal
    info: RequestInfo


class _Identities:
    """Only identities of the suite pass: the gateway must never forward a raw credential."""

    def __init__(self, audience: str) -> None:
        self._verifier = IdentityVerifier(SECRET, audience)

    async def authenticate(self, metadata: dict[str, str | bytes]) -> Principal:
        return self._verifier.verify(str(metadata.get(IDENTITY_HEADER, "")))


Script = Callable[[Any], Message]


@dataclass
class Recorder:
    """What was called, and what the unary methods are to answer."""

    calls: list[Call] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)

    def record(self, method: str, request: Any) -> None:
        self.calls.append(Call(method, request, current_principal(), current_request()))

    @property
    def last(self) -> Call:
        return self.calls[-1]

    def answer(self, method: str, request: Any) -> Message:
        self.record(method, request)
        script = self.scripts.get(method)
        if script is None:
            self.unexpected.append(method)
            raise Unimplemented("NOT_SCRIPTED", method)
        return script(request)


def _scripted(base: type, recorder: Recorder, names: list[str]) -> Any:
    """An instance of a servicer class whose named unary methods answer by script."""

    def method(name: str) -> Callable[..., Any]:
        async def behaviour(_self: object, request: Any, _context: object) -> Message:
            return recorder.answer(name, request)

        return behaviour

    return type(f"Fake{base.__name__}", (base,), {name: method(name) for name in names})()


def result_for(event: Any) -> dict[str, str]:
    """What the fake ingest says of one event: it takes everything that has an id."""
    if isinstance(event, dict) and event.get("event_id"):
        return {"event_id": str(event["event_id"]), "result": "accepted"}
    return {"event_id": "", "result": "rejected", "code": "bad_event_id"}


class FakeIngest:
    """Ingest: parses JSON as the real one does, accepts every event with an id, stores nothing."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.failure: DomainError | None = None
        self.credits = 8
        self.ack_gate = asyncio.Event()
        self.ack_gate.set()
        self.delay_gate = asyncio.Event()
        self.delay_gate.set()
        self.waiting = 0
        self.stream_requests: list[ingest_pb.IngestStreamRequest] = []
        self.import_requests: list[ingest_pb.ImportEventsRequest] = []
        self.stream_ends = 0
        self.pushes: asyncio.Queue[ingest_pb.IngestStreamResponse] = asyncio.Queue()
        self.events: list[Any] = []

    def servicer(self) -> Any:
        fake = self

        class Servicer(ingest_grpc.IngestServiceServicer):
            async def IngestBatch(self, request: Any, _context: Any) -> Any:
                fake.recorder.record("IngestBatch", request)
                fake.waiting += 1
                await fake.delay_gate.wait()
                if fake.failure:
                    raise fake.failure
                return fake._batch(request)

            async def IngestStream(self, requests: Any, _context: Any) -> Any:
                fake.recorder.record("IngestStream", None)
                if fake.failure:
                    raise fake.failure
                yield ingest_pb.IngestStreamResponse(
                    ready=ingest_pb.StreamReady(
                        credits=fake.credits,
                        server_time_ms=1,
                        config=ingest_pb.ClientConfig(enabled=True, tracking_level="standard", sampling_rate=1.0),
                    )
                )
                try:
                    async for answer in fake._stream(requests):
                        yield answer
                finally:
                    fake.stream_ends += 1

            async def ImportEvents(self, requests: Any, _context: Any) -> Any:
                fake.recorder.record("ImportEvents", None)
                try:
                    async for request in requests:
                        fake.import_requests.append(request)
                        await fake.ack_gate.wait()
                        if fake.failure:
                            raise fake.failure
                        yield fake._import(request)
                finally:
                    fake.stream_ends += 1

            async def ReplayBadRows(self, request: Any, _context: Any) -> Any:
                return fake.recorder.answer("ReplayBadRows", request)

        return Servicer()

    def _import(self, request: Any) -> Any:
        lines = request.lines.split(b"\n")
        results = [{"line": request.first_line + index, "result": "accepted"} for index in range(len(lines))]
        return ingest_pb.ImportEventsResponse(
            next_line=request.first_line + len(lines),
            results_ndjson=b"".join(orjson.dumps(result) + b"\n" for result in results),
            accepted=len(lines),
        )

    def _batch(self, request: Any) -> Any:
        try:
            body = orjson.loads(request.json)
        except orjson.JSONDecodeError:
            raise InvalidArgument("BAD_JSON", "not JSON") from None
        events = body.get("events", []) if isinstance(body, dict) else []
        if not events:
            raise InvalidArgument("EMPTY_BATCH", "no events")
        self.events += events
        results = [result_for(event) for event in events]
        accepted = sum(result["result"] == "accepted" for result in results)
        answer = {
            "batch_id": body.get("batch_id", ""),
            "accepted": accepted,
            "duplicate": 0,
            "dropped": 0,
            "rejected": len(results) - accepted,
            "results": results,
        }
        return ingest_pb.IngestBatchResponse(json=orjson.dumps(answer))

    async def _stream(self, requests: Any) -> AsyncIterator[Any]:
        outbox: asyncio.Queue[Any] = asyncio.Queue()

        async def receive() -> None:
            async for request in requests:
                self.stream_requests.append(request)
                await self.ack_gate.wait()
                await outbox.put(self._ack(request))
            await outbox.put(None)

        async def push() -> None:
            while True:
                await outbox.put(await self.pushes.get())

        tasks = [asyncio.create_task(receive()), asyncio.create_task(push())]
        try:
            while (answer := await outbox.get()) is not None:
                yield answer
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _ack(self, request: Any) -> Any:
        frame = orjson.loads(request.json)
        events = frame.get("events", [frame])
        self.events += events
        results = orjson.dumps([result_for(event) for event in events])
        ack = ingest_pb.StreamAck(seq=request.seq, credits=self.credits, results_json=results)
        return ingest_pb.IngestStreamResponse(ack=ack)


class FakeQuery:
    """Query: unary methods by script; the live feed sends what the test puts into `updates`."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.failure: DomainError | None = None
        self.updates: asyncio.Queue[live_pb2.StreamLiveResponse | None] = asyncio.Queue()
        self.live_streams = 0

    def servicer(self) -> Any:
        fake = self
        names = ["ListEvents", "GetMetrics", "GetDashboard", "ListBadRows", "GetDataQuality"]
        base = type(_scripted(query_grpc.QueryServiceServicer, self.recorder, names))

        class Servicer(base):  # type: ignore[misc,valid-type]  # made at run time
            async def StreamLive(self, request: Any, _context: Any) -> Any:
                fake.recorder.record("StreamLive", request)
                current_principal().require_scope("query")
                if fake.failure:
                    raise fake.failure
                fake.live_streams += 1
                try:
                    while (update := await fake.updates.get()) is not None:
                        yield update
                finally:
                    fake.live_streams -= 1

        return Servicer()


class FakeTenantConfig:
    """TenantConfig: a directory that the test changes; everything else by script."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.keys: dict[str, list[key_pb2.KeyState]] = {TENANT_A: [], TENANT_B: []}
        self.operators: list[key_pb2.KeyState] = []
        self._watchers: list[asyncio.Queue[Any]] = []

    def make_key(
        self,
        kind: KeyKind,
        tenant_id: str = TENANT_A,
        *,
        scopes: tuple[str, ...] = ("query", "config"),
        origins: tuple[str, ...] = (),
    ) -> str:
        """Makes a key that every watcher knows of; answers its text."""
        text = generate_key(kind)
        state = key_pb2.KeyState(
            key_id=str(uuid.uuid4()),
            sha256=key_sha256(text),
            kind=kind,
            scopes=("ingest",) if kind == "write" else scopes,
            allowed_origins=origins,
        )
        if kind == "operator":
            self.operators.append(state)
            self._push(tenant_pb.WatchConfigsResponse(operator_keys=tenant_pb.OperatorKeySet(keys=self.operators)))
        else:
            self.keys[tenant_id].append(state)
            self._push(tenant_pb.WatchConfigsResponse(tenant=self._state(tenant_id)))
        return text

    def revoke(self, text: str, tenant_id: str = TENANT_A) -> None:
        """Ends a key."""
        self.keys[tenant_id] = [key for key in self.keys[tenant_id] if key.sha256 != key_sha256(text)]
        self._push(tenant_pb.WatchConfigsResponse(tenant=self._state(tenant_id)))

    def _state(self, tenant_id: str) -> Any:
        return tenant_pb.TenantState(
            tenant=tenant_pb2.Tenant(tenant_id=tenant_id, name="a tenant"),
            config=config_pb2.TenantAnalyticsConfig(
                tenant_id=tenant_id,
                version=1,
                enabled=True,
                tracking_level="standard",
                retention_days=365,
                real_time_enabled=True,
                custom_properties=["*"],
                sampling_rate=1.0,
                consent_policy="obey",
            ),
            keys=self.keys[tenant_id],
        )

    def _push(self, message: Any) -> None:
        for watcher in self._watchers:
            watcher.put_nowait(message)

    def servicer(self) -> Any:
        fake = self
        watched = {"WatchConfigs", "ResolveKey", "ReportKeyUse"}
        service = tenant_pb.DESCRIPTOR.services_by_name["TenantConfigService"]
        names = [method.name for method in service.methods if method.name not in watched]
        base = type(_scripted(tenant_grpc.TenantConfigServiceServicer, self.recorder, names))

        class Servicer(base):  # type: ignore[misc,valid-type]  # made at run time
            async def WatchConfigs(self, _request: Any, _context: Any) -> Any:
                inbox: asyncio.Queue[Any] = asyncio.Queue()
                fake._watchers.append(inbox)
                try:
                    yield tenant_pb.WatchConfigsResponse(
                        snapshot=tenant_pb.ConfigSnapshot(
                            tenants=[fake._state(tenant_id) for tenant_id in fake.keys],
                            operator_keys=tenant_pb.OperatorKeySet(keys=fake.operators),
                        )
                    )
                    while True:
                        yield await inbox.get()
                finally:
                    fake._watchers.remove(inbox)

            async def ResolveKey(self, request: Any, _context: Any) -> Any:
                fake.recorder.record("ResolveKey", request)
                for tenant_id, keys in [*fake.keys.items(), ("", fake.operators)]:
                    for key in keys:
                        if key.sha256 == request.sha256:
                            tenant = fake._state(tenant_id) if tenant_id else None
                            return tenant_pb.ResolveKeyResponse(tenant=tenant, key=key)
                raise NotFound("KEY_NOT_FOUND", "no such key")

            async def ReportKeyUse(self, _request: Any, _context: Any) -> Any:
                return tenant_pb.ReportKeyUseResponse()

        return Servicer()


@dataclass
class FakeSuite:
    """The three fakes, running."""

    ingest: FakeIngest
    query: FakeQuery
    tenant_config: FakeTenantConfig
    servers: Mapping[str, GrpcServer]
    unwell: set[str]

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.servers[name].port}"


@asynccontextmanager
async def fake_suite() -> AsyncIterator[FakeSuite]:
    """Starts the fakes; at the end, fails when anything unexpected was called."""
    ingest, query, tenant_config = FakeIngest(), FakeQuery(), FakeTenantConfig()
    adders: dict[str, tuple[Any, Any, str]] = {
        "ingest": (ingest_grpc.add_IngestServiceServicer_to_server, ingest.servicer(), "obc.ingest.v1.IngestService"),
        "query": (query_grpc.add_QueryServiceServicer_to_server, query.servicer(), "obc.query.v1.QueryService"),
        "tenant_config": (
            tenant_grpc.add_TenantConfigServiceServicer_to_server,
            tenant_config.servicer(),
            "obc.tenant_config.v1.TenantConfigService",
        ),
    }
    settings = ServiceSettings(internal_secret=SECRET, drain_delay_seconds=0, drain_grace_seconds=0)
    servers: dict[str, GrpcServer] = {}
    unwell: set[str] = set()

    async def database() -> None:
        if "database" in unwell:
            raise ConnectionError("the database is away")

    async with AsyncExitStack() as stack:
        for name, (add, servicer, service) in adders.items():
            health = HealthRegistry(SystemClock())
            if name == "ingest":
                health.register("database", database, interval=0.1)
                await health.check_now()
            server = GrpcServer(settings, service=name, authenticator=_Identities(service), health=health, port=0)
            server.add(add, servicer, service)
            await server.start()
            stack.push_async_callback(server.stop)
            await stack.enter_async_context(background({"health": health.run, "verdicts": server.run_verdicts}))
            servers[name] = server
        suite = FakeSuite(ingest, query, tenant_config, servers, unwell)
        yield suite
    unexpected = [*ingest.recorder.unexpected, *query.recorder.unexpected, *tenant_config.recorder.unexpected]
    assert not unexpected, f"unexpected calls: {unexpected}"
