"""The face for threads."""

import time
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from obc_analytics.core import Core
from obc_analytics.errors import FlushTimeout, QueueFull
from obc_analytics.notify import OnError, OnResult
from obc_analytics.options import Options
from obc_analytics.results import Stats


class Analytics:
    """Sends events in the background. Make one for the life of the process; any thread may use it.

    Args:
        key: a write key, or a secret key with scope `ingest`.
        address: gRPC address of the ingest service, `host:port`.
        rest_url: address of the gateway, `http(s)://host[:port]`. Given with `address`, it is used while gRPC cannot be
            reached; given alone, it is the only way.
        tls: encrypt gRPC; off for a server in the same cluster.
        root_certificates: PEM of the authority to trust, for gRPC with `tls` and for https; None = the system's.
        options: queue, batches and times.
        on_rejected: told of each event that was refused for good.
        on_dropped: told of each event that a rule of the tenant left out, or that this client gave up (`evicted`).
        on_error: told each time delivery has to pause.

    The callbacks run on the background thread (`evicted` ones on the thread that tracks or closes); what they raise is
    logged. Nothing is sent before the first event. The end of the process waits `Options.close_seconds` for delivery.

    Raises:
        ValueError: an argument makes no sense.
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
        self._core = Core(
            key,
            address=address,
            rest_url=rest_url,
            tls=tls,
            root_certificates=root_certificates,
            options=options,
            on_rejected=on_rejected,
            on_dropped=on_dropped,
            on_error=on_error,
        )

    def track(
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
        """Queues one event and returns its id. It waits only where the queue is full and `Options.when_full` says so.

        Args:
            name: what happened, 1-200 characters, e.g. `report_exported`.
            properties: a JSON object; also takes datetime, date, UUID and Enum values. Encoded now: changing it later
                changes nothing.
            user_id: the known user; None = anonymous.
            anonymous_id: the device.
            session_id: the session.
            category: group of the event; the server's default is `general`.
            timestamp: when it happened, unix milliseconds or a datetime with a time zone; None = now.
            event_id: a UUID that names the event for ever: tracked twice it is stored once. None = a new UUIDv7.
            page_url: full page address.
            referrer: referring address.
            user_agent: the browser's; the server keeps only what it parsed of it, and a keyed hash.
            correlation_id: id of the request that caused the event.
            device_info: `screen_width`, `screen_height`, `viewport_width`, `viewport_height`, `device_type`, `browser`,
                `browser_version`, `os`, `os_version`, `language`, `timezone`.
            consent: the person's consent to be measured; None = not asked.

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
        deadline = time.monotonic() + self._core.options.block_seconds
        while (room := self._core.offer(event)) is not None:
            try:
                room.result(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                room.cancel()
                raise QueueFull(f"no room within {self._core.options.block_seconds:g} s") from None
        return event.event_id

    def flush(self, timeout: float = 10.0) -> None:
        """Waits until everything tracked so far has its result.

        Args:
            timeout: seconds.

        Raises:
            FlushTimeout: not yet; delivery goes on.
        """
        delivered = self._core.delivered()
        try:
            delivered.result(timeout)
        except TimeoutError:
            delivered.cancel()
            raise FlushTimeout(self._core.stats().pending, self._core.problem) from None

    def close(self, timeout: float | None = None) -> bool:
        """Delivers what is queued, then ends the client. Safe to repeat.

        Args:
            timeout: seconds to wait for delivery; None = `Options.close_seconds`.

        Returns:
            True when everything was delivered. Otherwise the rest is given up: counted as `evicted`, told to
            `on_dropped`, logged.
        """
        delivered = self._core.no_more()
        try:
            delivered.result(self._core.options.close_seconds if timeout is None else timeout)
        except TimeoutError:
            delivered.cancel()
        return self._core.end() == 0

    @property
    def stats(self) -> Stats:
        """Counts of what became of the events."""
        return self._core.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
