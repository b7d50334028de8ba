"""Delivery over one IngestStream: as many unanswered batches as the server grants credits."""

from obc_analytics._proto import ingest_pb2
from obc_analytics.clock import Clock
from obc_analytics.connection import problem_of
from obc_analytics.errors import BrokenAnswer, ServerBusy, Unreachable
from obc_analytics.ledger import Ledger
from obc_analytics.notify import Notifier
from obc_analytics.pace import Pace
from obc_analytics.stream import Stream
from obc_analytics.wire import results_of, to_proto

_MS = 1000


class StreamDelivery:
    """Serves one open stream. Used by the courier's thread alone.

    Args:
        stream: just opened.
        ledger: what is to be sent, and where results go.
        pace: pauses that the server asks for.
        clock: `sent_at` of each batch, and deadlines.
        notifier: told of requests for patience.
    """

    def __init__(self, stream: Stream, ledger: Ledger, pace: Pace, clock: Clock, notifier: Notifier) -> None:
        self._stream = stream
        self._ledger = ledger
        self._pace = pace
        self._clock = clock
        self._notifier = notifier
        self._credits = 0
        self._finishing = False
        self.got_on = False
        """Whether anything was delivered on this stream."""

    def await_ready(self, seconds: float) -> bool:
        """Waits for the server's first message; False = delivery is to end instead.

        Raises:
            DeliveryProblem: it did not come.
        """
        deadline = self._clock.monotonic() + seconds
        with self._ledger.wake:
            while not self._stream.has_news and not self._ledger.stopped:
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    raise Unreachable("", f"no stream within {seconds:g} s")
                self._ledger.wake.wait(left)
            if self._ledger.stopped:
                return False
            message = self._stream.take_message()
        if message is None:
            raise problem_of(self._stream.error)
        if message.WhichOneof("message") != "ready":
            raise BrokenAnswer("", "the first message was not `ready`")
        self._credits = max(1, message.ready.credits)
        return True

    def run(self) -> None:
        """Sends what is due and takes answers, until the server asks for a new stream or delivery is to end.

        Raises:
            DeliveryProblem: the stream broke, or an answer is overdue.
        """
        while True:
            request = None
            with self._ledger.wake:
                while not self._ledger.stopped and not self._stream.has_news and (wait := self._idle_for()) != 0:
                    self._ledger.wake.wait(wait)
                if self._ledger.stopped:
                    return
                message = self._stream.take_message()
                if message is None:
                    if self._stream.ended:
                        if self._finishing and self._stream.error is None:
                            return
                        raise problem_of(self._stream.error)
                    if self._finishing and not self._ledger.unanswered():
                        return  # there is nothing left to wait for, whether the server ends the stream or not
                    self._check_deadline()
                    if self._send_in() == 0:
                        batch = self._ledger.take()
                        request = (batch.seq, batch.events)
            if message is not None:
                self._handle(message)
            elif request is not None:
                seq, events = request
                typed = to_proto(events, self._clock.now_ms())
                self._stream.send(ingest_pb2.IngestStreamRequest(seq=seq, typed=typed))

    def _idle_for(self) -> float | None:
        """Seconds until there is something to do besides answers; None = never."""
        if self._finishing and not self._ledger.unanswered():
            return 0.0
        waits = [wait for wait in (self._send_in(), self._ledger.answer_overdue_in()) if wait is not None]
        return max(0.0, min(waits)) if waits else None

    def _send_in(self) -> float | None:
        """Seconds until a batch may and should be sent; None = not before an answer, or nothing waits."""
        if self._finishing or self._ledger.unanswered() >= self._credits:
            return None
        due = self._ledger.due_in()
        return None if due is None else max(due, self._pace.left())

    def _check_deadline(self) -> None:
        overdue_in = self._ledger.answer_overdue_in()
        if overdue_in is not None and overdue_in <= 0:
            raise Unreachable("", "a batch was not answered in time")

    def _handle(self, message: ingest_pb2.IngestStreamResponse) -> None:
        match message.WhichOneof("message"):
            case "ack":
                self._take_ack(message.ack)
            case "retry":
                self._take_retry(message.retry)
            case "reconnect":
                # Everything sent so far is still answered, then the server ends the stream.
                self._finishing = True
                self._stream.finish()
            case _:
                pass  # the tenant's rules are the server's to apply; later versions may say more

    def _take_ack(self, ack: ingest_pb2.StreamAck) -> None:
        if ack.credits > 0:
            self._credits = ack.credits
        batch = self._ledger.batch(ack.seq)
        if batch is None:
            return  # given up meanwhile
        self._ledger.settle(ack.seq, results_of(batch.events, ack.results))
        self.got_on = True
        self._pace.succeed()
        self._notifier.recovered()

    def _take_retry(self, retry: ingest_pb2.StreamRetry) -> None:
        problem = ServerBusy(retry.reason, retry.message)
        if retry.permanent:
            self._ledger.refuse(retry.seq, retry.reason, problem)
            return
        self._ledger.send_again(retry.seq)
        self._notifier.problem(problem, self._pace.fail(retry.retry_after_ms / _MS))
