"""TenantConfig, as the gateway sees it."""

import asyncio
import uuid
from typing import Any

from obc.tenant_config.v1 import config_pb2, key_pb2, tenant_pb2
from obc.tenant_config.v1 import tenant_config_service_pb2 as tenant_pb
from obc.tenant_config.v1 import tenant_config_service_pb2_grpc as tenant_grpc
from obc_common.errors import NotFound
from obc_common.keys import KeyKind, generate_key, key_sha256
from tests.support.fake_services.recorder import TENANT_A, TENANT_B, Recorder, scripted


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
        base = type(scripted(tenant_grpc.TenantConfigServiceServicer, self.recorder, names))

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
