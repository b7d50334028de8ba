"""The admin port: metrics and probes, apart from the public one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from obc_common.health import HealthRegistry


@asynccontextmanager
async def admin_server(host: str, port: int | None, health: HealthRegistry) -> AsyncIterator[None]:
    """Serves `/metrics` (Prometheus), `/livez` (the loop turns) and `/readyz` (cached verdicts, 503 when not ready).

    Args:
        host: address to listen on.
        port: 0 = any free port, None = no admin server.
        health: the process's components.
    """
    if port is None:
        yield
        return

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def livez(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        components = {
            name: {"ok": part.ok, "detail": part.detail, "critical": part.critical}
            for name, part in health.components().items()
        }
        ready = health.ready()
        return web.json_response({"ready": ready, "components": components}, status=200 if ready else 503)

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/livez", livez), web.get("/readyz", readyz)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
