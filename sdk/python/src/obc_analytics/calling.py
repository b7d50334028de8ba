"""Delivery by one blocking call after the other: REST, or a single gRPC call while the interpreter ends."""

import threading

from obc_analytics.clock import Clock
from obc_analytics.ledger import Ledger
from obc_analytics.notify import Notifier
from obc_analytics.pace import Pace
from obc_analytics.senders import NotStored, Sender


class CallDelivery:
    """Sends batches with a sender. Used by the courier's thread alone.

    Args:
        sender: how a batch is sent.
        ledger: what is to be sent, and where results go.
        pace: reset by success; failures are the courier's to pace.
        clock: `sent_at` of each batch, and deadlines.
        notifier: told when delivery gets on again.
    """

    def __init__(self, sender: Sender, ledger: Ledger, pace: Pace, clock: Clock, notifier: Notifier) -> None:
        self._sender = sender
        self._ledger = ledger
        self._pace = pace
        self._clock = clock
        self._notifier = notifier

    def run(self, until: float) -> None:
        """Sends what is due until a monotonic time, or until delivery is to end.

        Raises:
            NotStored: a batch failed; its events wait again.
        """
        while True:
            with self._ledger.wake:
                while not self._ledger.stopped and (wait := self._ledger.due_in()) != 0:
                    left = until - self._clock.monotonic()
                    if left <= 0:
                        return
                    # TIMEOUT_MAX: `until` may be infinite, which a lock cannot wait for.
                    self._ledger.wake.wait(min(left, threading.TIMEOUT_MAX if wait is None else wait))
                if self._ledger.stopped or self._clock.monotonic() >= until:
                    return
                batch = self._ledger.take()
            try:
                results = self._sender.send(batch.events, str(batch.seq), self._clock.now_ms())
            except NotStored as failure:
                if failure.permanent:
                    self._ledger.refuse(batch.seq, failure.reason, failure.problem)
                    continue
                self._ledger.send_again(batch.seq)
                raise
            except BaseException:
                self._ledger.send_again(batch.seq)
                raise
            self._ledger.settle(batch.seq, results)
            self._pace.succeed()
            self._notifier.recovered()
