"""The face for asyncio."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

from obc_analytics.core import Core
from obc_analytics.errors import FlushTimeout, QueueFull
from obc_analytics.notify import OnError, OnResult
from obc_analytics.options import Options
from obc_analytics.results import Stats

T = TypeVar("T")


class AsyncAnalytics:
    """Like `Analytics`, and on the same core: delivery runs on a thread of its own, beside any event loop.

    It is made inside the running loop, and its callbacks run in that loop. Nothing here blocks the loop. See
    `Analytics` for the arguments.

    Raises:
        ValueError: an argument makes no sense.
        RuntimeError: no loop runs.
    """

    def __init__(
        self,
        key: str,
        *,
        address: str | None = None,
        rest_url: str | None = None,
        tls: bool = False,
        root_certificates: bytes | None = None,
        options: Options = Options(),  # noqa: B008  # frozen
        on_rejected: OnResult | None = None,
        on_dropped: OnResult | None = None,
        on_error: OnError | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._core = Core(
            key,
            address=address,
            rest_url=rest_url,
            tls=tls,
            root_certificates=root_certificates,
            options=options,
            on_rejected=_in_loop(loop, on_rejected),
            on_dropped=_in_loop(loop, on_dropped),
            on_error=_in_loop(loop, on_error),
        )

    async def track(
        self,
        name: str,
        properties: Mapping[str, Any] | None = None,
        *,
        user_id: str | UUID | None = None,
        anonymous_id: str | UUID | None = None,
        session_id: str | UUID | None = None,
        category: str = "",
        timestamp: int | datetime | None = None,
        event_id: str | UUID | None = None,
        page_url: str = "",
        referrer: str = "",
        user_agent: str = "",
        correlation_id: str | UUID | None = None,
        device_info: Mapping[str, Any] | None = None,
        consent: bool | None = None,
    ) -> str:
        """Queues one event and returns its id; see `Analytics.track`. Cancelled while it waits for room, it queued
        nothing.

        Raises:
            InvalidEvent: the server would certainly reject it; names the argument.
            QueueFull: no room.
            ClientClosed: after `close`.
        """
        event = self._core.event(
            name,
            properties,
            user_id=user_id,
            anonymous_id=anonymous_id,
            session_id=session_id,
            category=category,
            timestamp=timestamp,
            event_id=event_id,
            page_url=page_url,
            referrer=referrer,
            user_agent=user_agent,
            correlation_id=correlation_id,
            device_info=device_info,
            consent=consent,
        )
        room = self._core.offer(event)
        if room is not None:
            seconds = self._core.options.block_seconds
            try:
                async with asyncio.timeout(seconds):
                    while room is not None:
                        await asyncio.wrap_future(room)
                        room = self._core.offer(event)
            except TimeoutError:
                raise QueueFull(f"no room within {seconds:g} s") from None
        return event.event_id

    async def flush(self, timeout: float = 10.0) -> None:
        """Waits until everything tracked so far has its result.

        Args:
            timeout: seconds.

        Raises:
            FlushTimeout: not yet; delivery goes on.
        """
        try:
            async with asyncio.timeout(timeout):
                await asyncio.wrap_future(self._core.delivered())
        except TimeoutError:
            raise FlushTimeout(self._core.stats().pending, self._core.problem) from None

    async def close(self, timeout: float | None = None) -> bool:
        """Delivers what is queued, then ends the client; see `Analytics.close`. Safe to repeat."""
        try:
            async with asyncio.timeout(self._core.options.close_seconds if timeout is None else timeout):
                await asyncio.wrap_future(self._core.no_more())
        except TimeoutError:
            pass  # what is left is given up, counted and logged
        return await asyncio.to_thread(self._core.end) == 0

    @property
    def stats(self) -> Stats:
        """Counts of what became of the events."""
        return self._core.stats()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _in_loop(loop: asyncio.AbstractEventLoop, callback: Callable[[T], object] | None) -> Callable[[T], object] | None:
    """The callback, run in the loop instead of on the thread that calls it; dropped once the loop is closed."""
    if callback is None:
        return None
    wanted = callback

    def call(argument: T) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(wanted, argument)

    return call
