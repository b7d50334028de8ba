"""The only place that builds concrete things; everything is closed in reverse."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler
from redis.asyncio import Redis

from obc_common.admin import admin_server
from obc_common.authentication import CredentialAuthenticator
from obc_common.channels import open_channel
from obc_common.clients import (
    IdentityClient,
    IngestClient,
    QueryClient,
    SavedClient,
    ServiceClient,
    TenantConfigClient,
)
from obc_common.clock import SystemClock
from obc_common.context import Principal
from obc_common.directory import TenantDirectory
from obc_common.health import HealthRegistry
from obc_common.identity import IdentityMinter
from obc_common.jwt_verifier import JwtVerifier
from obc_common.logs import get_logger
from obc_common.ratelimit import RateLimiter
from obc_common.tasks import background
from obc_gateway.access.callers import Callers
from obc_gateway.access.failure_limiter import FailureLimiter
from obc_gateway.bodies.budget import BodyBudget
from obc_gateway.demo import DemoShop
from obc_gateway.edge.answer_headers import add_answer_headers
from obc_gateway.edge.client_address import ProxyTrust
from obc_gateway.edge.cors import CorsPolicy
from obc_gateway.edge.listener import Listener
from obc_gateway.edge.middleware import answer_preflights, errors_to_answers, observe
from obc_gateway.edge.request_info import RequestReader
from obc_gateway.health_checks import register_checks
from obc_gateway.lifecycle import Lifecycle
from obc_gateway.live.events_handler import LiveEventsHandler
from obc_gateway.live.socket_handler import LiveSocketHandler
from obc_gateway.openapi.document import build_document
from obc_gateway.pages import page_routes
from obc_gateway.probes import Probes
from obc_gateway.rest.importing import ImportHandler
from obc_gateway.rest.ingest import BatchHandler
from obc_gateway.rest.router import add_routes, ingest_paths, route_limits, takes_batches
from obc_gateway.rest.tenant_slots import TenantSlots
from obc_gateway.rest.unary import ApiAccess, UnaryHandler
from obc_gateway.settings import Settings
from obc_gateway.sockets.admission import SocketAdmission
from obc_gateway.sockets.handler import IngestSocketHandler
from obc_gateway.sockets.watch import ConnectionWatch
from obc_gateway.transcoding.routes import IDENTITY, INGEST, QUERY, SAVED, TENANT_CONFIG, Route, route_table

_log = get_logger(__name__)
_NAME = "gateway"
# What the worker's health is called: it has no methods.
_WORKER = "obc.worker"
_INGEST_SOCKETS = ("/ws/analytics", "/ws/analytics/{tenant_id:[^/:]+}", "/v1/stream")
_REDIS_CONNECT_SECONDS = 0.5
# After the grace: time for a cancelled request to unwind.
_CUT_SECONDS = 1.0


class Gateway:
    """The running gateway.

    Attributes:
        port: the port in use.
    """

    def __init__(self, settings: Settings, lifecycle: Lifecycle, listener: Listener, runner: web.AppRunner) -> None:
        self._settings = settings
        self._lifecycle = lifecycle
        self._listener = listener
        self._runner = runner
        self.port = settings.port

    async def start(self) -> None:
        """Listens. Raises OSError naming the port when it is taken."""
        self.port = await self._listener.start()
        _log.info("gateway_started", port=self.port)

    async def drain(self) -> None:
        """Ends gracefully: not ready, go on serving for a while, accept no more, end sockets, let requests finish."""
        self._lifecycle.leave()
        _log.info("draining", name=_NAME, delay=self._settings.drain_delay_seconds)
        await asyncio.sleep(self._settings.drain_delay_seconds)
        await self.stop()

    async def stop(self) -> None:
        """The same without the delay. May be called twice."""
        self._listener.stop()
        self._lifecycle.drain()
        # aiohttp stops reading when it shuts down, so a half-sent body must be in before.
        await self._lifecycle.wait_idle(self._settings.drain_grace_seconds)
        await self._runner.cleanup()


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Gateway]:
    """Builds and starts the gateway; yields it listening.

    Raises:
        OSError: the port is taken.
    """
    clock, lifecycle = SystemClock(), Lifecycle()
    async with AsyncExitStack() as stack:
        minter = IdentityMinter(settings.internal_secret.get_secret_value(), _NAME)
        ingest = IngestClient(settings.ingest_address, minter)
        query = QueryClient(settings.query_address, minter)
        tenant_config = TenantConfigClient(settings.tenant_config_address, minter)
        clients: Mapping[str, ServiceClient] = {
            INGEST: ingest,
            QUERY: query,
            SAVED: SavedClient(settings.query_address, minter),
            IDENTITY: IdentityClient(settings.query_address, minter),
            TENANT_CONFIG: tenant_config,
        }
        for client in clients.values():
            stack.push_async_callback(client.close)
        redis = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_connect_timeout=_REDIS_CONNECT_SECONDS,
            socket_timeout=_REDIS_CONNECT_SECONDS,
        )
        stack.push_async_callback(redis.aclose)

        directory = TenantDirectory(tenant_config, clock, _NAME)
        tokens = JwtVerifier(directory.issuers, clock)
        stack.push_async_callback(tokens.close)
        failures = FailureLimiter(clock, settings.auth_failures_per_second, settings.auth_failure_burst)
        callers = Callers(CredentialAuthenticator(directory, tokens), failures)

        reader = RequestReader(ProxyTrust(settings.trusted_proxies))
        budget = BodyBudget(settings.max_body_bytes_in_flight)
        slots = TenantSlots(settings.tenant_batches_at_once, settings.tenant_batches_in_flight, clock)
        admission = SocketAdmission(settings.max_sockets, lifecycle.draining)
        access = ApiAccess(
            callers,
            RateLimiter(redis, clock),
            reader,
            rate_per_second=settings.api_rate_per_second,
            burst=settings.api_burst,
        )

        health = HealthRegistry(clock)
        targets = {
            "ingest": (settings.ingest_address, INGEST),
            "query": (settings.query_address, QUERY),
            "tenant_config": (settings.tenant_config_address, TENANT_CONFIG),
        }
        if settings.worker_address:
            targets["worker"] = (settings.worker_address, _WORKER)
        channels = {name: (open_channel(address, streaming=False), svc) for name, (address, svc) in targets.items()}
        for channel, _ in channels.values():
            stack.push_async_callback(channel.close)
        register_checks(
            health, channels=channels, redis=redis, directory=directory, admission=admission, lifecycle=lifecycle
        )

        def watch_for(principal: Principal) -> ConnectionWatch:
            return ConnectionWatch(principal, directory, clock, lifecycle.draining)

        routes = route_table(route_limits(settings))
        cors = CorsPolicy(ingest_paths(routes, settings.extra_prefix), settings.cors_origins)

        def handler_for(route: Route) -> Handler:
            if route.client_streaming:
                return ImportHandler(settings, ingest, access, admission, reader, budget, lifecycle.draining).handle
            if route.streaming:
                return LiveEventsHandler(settings, query, access, admission, watch_for).handle
            if takes_batches(route):
                return BatchHandler(
                    ingest, callers, reader, cors, budget, slots, route.limits, settings.body_seconds
                ).handle
            return UnaryHandler(route, clients[route.service], access, reader, budget, settings.body_seconds).handle

        app = web.Application(middlewares=[observe(lifecycle), errors_to_answers, answer_preflights(cors)])
        app.on_response_prepare.append(add_answer_headers)
        add_routes(app, {route: handler_for(route) for route in routes}, settings.extra_prefix)
        sockets = IngestSocketHandler(
            settings, ingest, callers, reader, cors, directory, clock, admission, lifecycle.draining
        )
        for path in _INGEST_SOCKETS:
            app.router.add_get(path, sockets.handle, allow_head=False)
        live_socket = LiveSocketHandler(settings, query, access, cors, clock, admission, watch_for)
        app.router.add_get("/v1/live/ws", live_socket.handle, allow_head=False)
        probes = Probes(health, lifecycle)
        for path, probe in (("/livez", probes.livez), ("/readyz", probes.readyz), ("/health", probes.health)):
            app.router.add_get(path, probe)
        for path, page in page_routes(build_document(routes)):
            app.router.add_get(path, page)
        if settings.static_folder is not None:
            app.router.add_static("/static/", settings.static_folder)
        if settings.demo_folder is not None:
            for path, page in DemoShop(settings.demo_folder, settings.demo_key_file).routes():
                app.router.add_get(path, page)

        await stack.enter_async_context(background({"directory": directory.run, "health": health.run}))
        await stack.enter_async_context(admin_server(settings.host, settings.admin_port, health))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CUT_SECONDS)
        await runner.setup()
        gateway = Gateway(settings, lifecycle, Listener(runner, settings), runner)
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        yield gateway
