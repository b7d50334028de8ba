"""Is a process serving? Questions that never raise and never take longer than two seconds."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from obc_dev.servers.local_server import LocalServer

Ready = Callable[[], Awaitable[bool]]
_TIMEOUT = 2.0


def server_ready(server: LocalServer) -> Ready:
    """Asks PostgreSQL or Redis in its own protocol."""

    async def ask() -> bool:
        return await asyncio.to_thread(server.is_ready)

    return ask


def http_ready(url: str) -> Ready:
    """Asks for a 200."""

    async def ask() -> bool:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT)) as session,
                session.get(url) as response,
            ):
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    return ask
