"""The background thread: chooses the way, delivers, and after every failure pauses and tries again. No last try."""

import logging
import math
import threading
from random import Random

from obc_analytics.calling import CallDelivery
from obc_analytics.clock import Clock
from obc_analytics.connection import Endpoint
from obc_analytics.errors import CredentialRefused, DeliveryProblem, ServerBusy
from obc_analytics.ledger import Ledger
from obc_analytics.notify import Notifier
from obc_analytics.options import Options
from obc_analytics.pace import Pace
from obc_analytics.senders import NotStored, Sender, UnarySender
from obc_analytics.stream import Stream
from obc_analytics.streaming import StreamDelivery

_log = logging.getLogger("obc_analytics")


class Courier:
    """Owns the thread that delivers. It starts with the first event, so that a client made before a fork costs nothing.

    Args:
        ledger: what is to be delivered.
        endpoint: gRPC; None = REST alone.
        rest: REST; None = gRPC alone. With both, REST serves while gRPC cannot be reached.
        options: times.
        clock: measures them.
        random: jitter.
        notifier: the host's callbacks.
    """

    def __init__(
        self,
        ledger: Ledger,
        endpoint: Endpoint | None,
        rest: Sender | None,
        *,
        options: Options,
        clock: Clock,
        random: Random,
        notifier: Notifier,
    ) -> None:
        self._ledger = ledger
        self._endpoint = endpoint
        self._rest = rest
        self._options = options
        self._clock = clock
        self._notifier = notifier
        self._pace = Pace.of(options.backoff_seconds, options.backoff_max_seconds, clock, random)
        self._failed_connections = 0
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread, if it does not run yet."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="obc-analytics", daemon=True)
                    thread.start()
                    self._thread = thread

    def join(self, seconds: float) -> None:
        """Waits for the thread's end, after `Ledger.abandon`."""
        if self._thread is not None and not self.is_current_thread():
            self._thread.join(seconds)

    def is_current_thread(self) -> bool:
        """Whether the caller runs on the thread: inside a callback."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        while self._await_work():
            try:
                self._deliver()
            except DeliveryProblem as problem:
                self._pause(problem)
            except NotStored as failure:
                self._pause(failure.problem, failure.retry_after)
            except Exception:
                # A bug must not end delivery: what is unanswered is sent again.
                _log.exception("delivery failed unexpectedly; it goes on in %.2f s", self._pace.fail())
            finally:
                self._ledger.send_all_again()
        if self._rest:
            self._rest.close()

    def _await_work(self) -> bool:
        """Waits until a batch is due and no pause is left; False = delivery is to end."""
        with self._ledger.wake:
            while not self._ledger.stopped:
                due = self._ledger.due_in()
                wait = None if due is None else max(due, self._pace.left())
                if wait == 0:
                    return True
                self._ledger.wake.wait(wait)
        return False

    def _deliver(self) -> None:
        """Delivers in one way for as long as it carries."""
        if self._endpoint is None:
            assert self._rest is not None
            self._deliver_by_calls(self._rest, math.inf)
        elif self._rest is not None and self._failed_connections >= self._options.fallback_failures:
            # When REST fails too, gRPC has the next try.
            self._failed_connections = 0
            self._deliver_by_calls(self._rest, self._options.grpc_retry_seconds)
            # Nothing went wrong: gRPC has one try before REST serves again.
            self._failed_connections = self._options.fallback_failures - 1
        else:
            self._deliver_by_stream(self._endpoint)

    def _deliver_by_calls(self, sender: Sender, seconds: float) -> None:
        delivery = CallDelivery(sender, self._ledger, self._pace, self._clock, self._notifier)
        delivery.run(self._clock.monotonic() + seconds)

    def _deliver_by_stream(self, endpoint: Endpoint) -> None:
        try:
            stream = Stream(endpoint, self._ledger.wake)
        except RuntimeError:
            # From Python 3.12 on no thread starts any more while the interpreter ends.
            self._deliver_by_calls(UnarySender(endpoint, self._options.ack_seconds), math.inf)
            return
        try:
            delivery = StreamDelivery(stream, self._ledger, self._pace, self._clock, self._notifier)
            try:
                if not delivery.await_ready(self._options.connect_seconds):
                    return
            except (CredentialRefused, ServerBusy):
                raise  # it was reached
            except DeliveryProblem:
                self._failed_connections += 1
                raise
            self._failed_connections = 0
            delivery.run()
            if not delivery.got_on:
                self._pace.fail()  # a server that sends everybody away at once must not be run over
        finally:
            stream.close()

    def _pause(self, problem: DeliveryProblem, at_least: float = 0.0) -> None:
        self._notifier.problem(problem, self._pace.fail(at_least))
