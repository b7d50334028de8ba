"""The only place where this service's parts are made and joined."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from obc.tenant_config.v1 import tenant_config_service_pb2_grpc as pb_grpc
from obc_common.admin import admin_server
from obc_common.authentication import CredentialAuthenticator
from obc_common.clock import Clock, SystemClock
from obc_common.health import HealthRegistry
from obc_common.identity import IdentityVerifier
from obc_common.jwt_verifier import JwtVerifier
from obc_common.postgres import Pool, create_pool, ping
from obc_common.server import GrpcServer
from obc_common.tasks import background
from obc_tenant_config.analytics_config import AnalyticsConfig
from obc_tenant_config.api_keys import ApiKeys
from obc_tenant_config.audit_log import AuditLog
from obc_tenant_config.changes import Changes
from obc_tenant_config.config_state import ConfigState
from obc_tenant_config.configs import Configs
from obc_tenant_config.database import Database
from obc_tenant_config.jwt_issuers import JwtIssuers
from obc_tenant_config.servicer import TenantConfigServicer
from obc_tenant_config.settings import Settings
from obc_tenant_config.tenants import Tenants
from obc_tenant_config.watchers import Watchers

SERVICE = "obc.tenant_config.v1.TenantConfigService"
_ROLE = "obc_tenant_config"


@dataclass(frozen=True, slots=True)
class Domain:
    """What the service and the command line can do."""

    database: Database
    tenants: Tenants
    configs: Configs
    api_keys: ApiKeys
    jwt_issuers: JwtIssuers
    audit_log: AuditLog


async def open_pool(settings: Settings) -> Pool:
    """Connections that act as this service's role."""
    return await create_pool(
        settings.database_url.get_secret_value(),
        role=_ROLE,
        name="obc-tenant-config",
        # One more, for the connection that listens for changes and is never given back.
        max_size=settings.database_pool_size + 1,
    )


def build_domain(settings: Settings, pool: Pool, clock: Clock) -> Domain:
    """The domain on a pool."""
    database, changes = Database(pool), Changes(clock)
    secret = settings.internal_secret.get_secret_value()
    default_config = AnalyticsConfig(retention_days=settings.retention_days)
    return Domain(
        database=database,
        tenants=Tenants(database, changes, clock, secret, default_config),
        configs=Configs(database, changes, clock, secret),
        api_keys=ApiKeys(database, changes, clock, secret, settings.max_live_keys),
        jwt_issuers=JwtIssuers(database, changes, clock),
        audit_log=AuditLog(database, secret),
    )


@asynccontextmanager
async def build(settings: Settings, clock: Clock | None = None) -> AsyncIterator[GrpcServer]:
    """The started server; everything is closed in reverse when the context ends."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(await open_pool(settings))
        domain = build_domain(settings, pool, clock)
        if settings.bootstrap_operator_key is not None:
            text = settings.bootstrap_operator_key.get_secret_value()
            await domain.api_keys.make_sure_of_operator_key(text, "bootstrap")
        watchers = Watchers()
        state = ConfigState(domain.database, pool, domain.api_keys, watchers, clock)
        await state.catch_up()
        verifier = JwtVerifier(state.issuers, clock)
        stack.push_async_callback(verifier.close)
        identities = IdentityVerifier(settings.internal_secret.get_secret_value(), SERVICE, clock)
        health = HealthRegistry(clock)
        health.register("database", lambda: ping(pool))
        health.register("config_state", state.check, interval=2.0)
        await health.check_now()
        server = GrpcServer(
            settings,
            service="tenant-config",
            authenticator=CredentialAuthenticator(state, verifier, identities),
            health=health,
            port=settings.grpc_port,
        )
        servicer = TenantConfigServicer(
            tenants=domain.tenants,
            configs=domain.configs,
            api_keys=domain.api_keys,
            jwt_issuers=domain.jwt_issuers,
            audit_log=domain.audit_log,
            state=state,
            watchers=watchers,
            clock=clock,
        )
        server.add(pb_grpc.add_TenantConfigServiceServicer_to_server, servicer, SERVICE)

        async def end_watchers() -> None:
            await server.draining.wait()
            watchers.end_all()

        bodies = {
            "health": health.run,
            "verdicts": server.run_verdicts,
            "config-state": state.run,
            "key-use": state.run_key_use,
            "end-watchers": end_watchers,
        }
        await stack.enter_async_context(background(bodies))
        await stack.enter_async_context(admin_server(settings.host, settings.admin_port, health))
        stack.push_async_callback(server.stop)
        await server.start()
        yield server
