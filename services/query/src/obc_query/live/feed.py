"""The process's one Redis subscription: a channel for each tenant somebody watches. Recovers by itself."""

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from obc_common.clock import Clock
from obc_common.live import LiveMessage, decode, live_channel
from obc_common.logs import get_logger
from obc_common.redis_failures import REDIS_FAILURES

_log = get_logger(__name__)
# The subscription is changed between two reads, so this is the longest a new tenant waits for its channel.
_READ_SECONDS = 0.05
_PING_SECONDS = 2.0
_SILENCE_SECONDS = 5.0
_RETRY_SECONDS = 0.5
_COMMAND_TIMEOUT = 2.0
# Always subscribed, so that there is a connection to tell whether Redis is there.
_KEEP_ALIVE = "obc:live-keepalive"


class LiveFeed:
    """Delivers messages of the watched tenants. `run` is a background task's body."""

    def __init__(self, redis: Redis, clock: Clock, deliver: Callable[[str, LiveMessage], None]) -> None:
        self._redis = redis
        self._clock = clock
        self._deliver = deliver
        self._wanted: dict[str, asyncio.Event] = {}
        self._connected = False

    @property
    def connected(self) -> bool:
        """False while Redis is away: events are being missed."""
        return self._connected

    def watch(self, tenant_id: str) -> asyncio.Event:
        """Asks for a tenant's events; the event is set once they are subscribed to."""
        return self._wanted.setdefault(tenant_id, asyncio.Event())

    def unwatch(self, tenant_id: str) -> None:
        """Lets a tenant's events go."""
        self._wanted.pop(tenant_id, None)

    async def check(self) -> None:
        """Health: raises while Redis is away."""
        if not self._connected:
            raise ConnectionError("the live feed is interrupted")

    async def run(self) -> None:
        """Keeps one subscription open until cancelled."""
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await self._follow(pubsub)
            except REDIS_FAILURES as error:
                if self._connected:
                    _log.warning("live_feed_interrupted", error=type(error).__name__)
            finally:
                self._connected = False
                for subscribed in self._wanted.values():
                    subscribed.clear()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self, pubsub: PubSub) -> None:
        async with asyncio.timeout(_COMMAND_TIMEOUT):
            await pubsub.subscribe(_KEEP_ALIVE)
        tenants: dict[bytes, str] = {}
        heard_at = pinged_at = self._clock.monotonic()
        while True:
            await self._change(pubsub, tenants)
            message = await pubsub.get_message(timeout=_READ_SECONDS)
            now = self._clock.monotonic()
            if message is not None:
                heard_at = now
                self._connected = True
                self._take(message["type"], message.get("channel"), message.get("data"), tenants)
                continue
            if now - heard_at > _SILENCE_SECONDS:
                raise TimeoutError("Redis is silent")
            if now - pinged_at > _PING_SECONDS:
                pinged_at = now
                async with asyncio.timeout(_COMMAND_TIMEOUT):
                    await pubsub.ping()

    async def _change(self, pubsub: PubSub, tenants: dict[bytes, str]) -> None:
        current = set(tenants.values())
        added = [tenant_id for tenant_id in self._wanted if tenant_id not in current]
        removed = [tenant_id for tenant_id in current if tenant_id not in self._wanted]
        async with asyncio.timeout(_COMMAND_TIMEOUT):
            if added:
                await pubsub.subscribe(*(live_channel(tenant_id) for tenant_id in added))
                tenants.update({live_channel(tenant_id).encode(): tenant_id for tenant_id in added})
            if removed:
                await pubsub.unsubscribe(*(live_channel(tenant_id) for tenant_id in removed))
                for tenant_id in removed:
                    del tenants[live_channel(tenant_id).encode()]

    def _take(self, kind: str, channel: object, data: object, tenants: dict[bytes, str]) -> None:
        tenant_id = tenants.get(channel) if isinstance(channel, bytes) else None
        if tenant_id is None:
            return
        if kind == "subscribe":
            if tenant_id in self._wanted:
                self._wanted[tenant_id].set()
        elif kind == "message" and isinstance(data, bytes):
            try:
                self._deliver(tenant_id, decode(data))
            except ValueError as error:
                _log.warning("live_message_refused", error=str(error))
