"""What both faces share: the queue, the courier, the life of a client. It never waits; each face does in its way."""

import atexit
import logging
from collections.abc import Mapping
from concurrent.futures import Future
from random import Random
from typing import Any

from obc_analytics import forks
from obc_analytics.clock import Clock, SystemClock
from obc_analytics.connection import Endpoint
from obc_analytics.courier import Courier
from obc_analytics.errors import ClientClosed, DeliveryProblem, QueueFull
from obc_analytics.event import Event, make_event
from obc_analytics.ledger import Ledger
from obc_analytics.notify import Notifier, OnError, OnResult
from obc_analytics.options import Options
from obc_analytics.rest import RestSender
from obc_analytics.results import Stats

_log = logging.getLogger("obc_analytics")
_JOIN_SECONDS = 1.0


class Core:
    """One client. Thread-safe and fork-safe; see `Analytics` for the arguments."""

    def __init__(
        self,
        key: str,
        *,
        address: str | None,
        rest_url: str | None,
        tls: bool,
        root_certificates: bytes | None,
        options: Options,
        on_rejected: OnResult | None,
        on_dropped: OnResult | None,
        on_error: OnError | None,
        clock: Clock | None = None,
    ) -> None:
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("key must be a write key or a secret key")
        if not address and not rest_url:
            raise ValueError("give address (gRPC), rest_url, or both")
        self.options = options
        self._clock = clock or SystemClock()
        self._key = key
        self._rest_url = rest_url
        self._root_certificates = root_certificates
        self._endpoint = Endpoint(address, key, tls, root_certificates) if address else None
        self._callbacks = (on_rejected, on_dropped, on_error)
        self._closed = False
        self._before_forks: list[object] = []
        self._ledger, self._courier, self._notifier = self._begin()
        forks.renew_after_fork(self)
        atexit.register(self._at_exit)

    def event(self, name: str, properties: Mapping[str, Any] | None, **fields: Any) -> Event:
        """A checked event of now. Raises InvalidEvent."""
        return make_event(name, properties, self._clock.now_ms(), **fields)

    def offer(self, event: Event) -> "Future[None] | None":
        """Queues an event, or answers what to wait for before offering it again. Raises ClientClosed, QueueFull."""
        self._ledger.check_open()
        try:
            self._courier.start()
        except RuntimeError as error:
            raise ClientClosed("the first event came too late: the interpreter ends") from error
        room = self._ledger.offer(event)
        if room is not None and self._courier.is_current_thread():
            room.cancel()
            raise QueueFull("a callback cannot wait for room: it is run by what makes room")
        return room

    def delivered(self) -> "Future[None]":
        """Done when everything queued so far has its result."""
        return self._ledger.delivered()

    def stats(self) -> Stats:
        """The counts."""
        return self._ledger.stats()

    @property
    def problem(self) -> DeliveryProblem | None:
        """What delivery met last; None = it gets on."""
        return self._notifier.last_problem

    def no_more(self) -> "Future[None]":
        """Takes no more events; done when everything queued has its result."""
        self._ledger.close()
        return self._ledger.delivered()

    def end(self) -> int:
        """Ends delivery; how many events were given up. Waits a moment for the thread."""
        self._closed = True
        atexit.unregister(self._at_exit)
        given_up = self._ledger.abandon()
        self._courier.join(_JOIN_SECONDS)
        if given_up:
            _log.warning("closed with %d events undelivered", given_up)
        return given_up

    def after_fork_in_child(self) -> None:
        """Begins anew with an empty queue."""
        self._before_forks.append((self._ledger, self._courier))  # never collected: its end would be the parent's
        self._ledger, self._courier, self._notifier = self._begin()
        if self._closed:
            self._ledger.close()

    def _begin(self) -> tuple[Ledger, Courier, Notifier]:
        options = self.options
        notifier = Notifier(*self._callbacks)
        ledger = Ledger(options, self._clock, notifier.results)
        rest = None
        if self._rest_url:
            rest = RestSender(
                self._rest_url,
                self._key,
                connect_timeout=options.connect_seconds,
                timeout=options.ack_seconds,
                root_certificates=self._root_certificates,
            )
        # Seeded by the system, and so differently in every process.
        random = Random()  # noqa: S311  # jitter, no secret
        courier = Courier(
            ledger, self._endpoint, rest, options=options, clock=self._clock, random=random, notifier=notifier
        )
        return ledger, courier, notifier

    def _at_exit(self) -> None:
        try:
            self.no_more().result(self.options.close_seconds)
        except TimeoutError:
            pass  # counted and logged by `end`
        finally:
            self.end()
