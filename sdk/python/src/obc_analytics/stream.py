"""One open IngestStream, as the courier sees it: batches go out, messages come in, nothing blocks."""

import logging
import queue
import threading
from collections import deque
from collections.abc import Iterator

import grpc

from obc_analytics._proto import ingest_pb2
from obc_analytics.connection import STREAM_METHOD, Endpoint

_log = logging.getLogger("obc_analytics")


class Stream:
    """A stream on a connection of its own; a new one re-spreads load and meets no old trouble.

    gRPC reads the outgoing messages on a thread of its own; incoming ones are read on another, which does nothing but
    put them where the courier finds them.

    Args:
        endpoint: the server.
        wake: notified at every incoming message and at the end; its lock guards what is shared.

    Raises:
        RuntimeError: no thread can be started any more, because the interpreter is about to end.
    """

    def __init__(self, endpoint: Endpoint, wake: threading.Condition) -> None:
        self._wake = wake
        self._outgoing: queue.SimpleQueue[ingest_pb2.IngestStreamRequest | None] = queue.SimpleQueue()
        self._incoming: deque[ingest_pb2.IngestStreamResponse] = deque()
        self._ended = False
        self._error: grpc.RpcError | None = None
        self._opened = threading.Event()
        # First of all: where no thread starts any more, gRPC would be left half open, and wait for itself for ever.
        threading.Thread(target=self._read, name="obc-analytics-reader", daemon=True).start()
        self._call: Iterator[ingest_pb2.IngestStreamResponse] | None = None
        try:
            self._channel = endpoint.open()
            call = self._channel.stream_stream(
                STREAM_METHOD,
                request_serializer=ingest_pb2.IngestStreamRequest.SerializeToString,
                response_deserializer=ingest_pb2.IngestStreamResponse.FromString,
            )
            # It lives until the server asks for a new one; keepalive and the ack deadline watch over it.
            self._call = call(iter(self._outgoing.get, None), metadata=endpoint.metadata)
        finally:
            self._opened.set()

    @property
    def has_news(self) -> bool:
        """Whether there is a message, or the end. To be asked under the lock."""
        return bool(self._incoming) or self._ended

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more and every message was taken. To be asked under the lock."""
        return self._ended and not self._incoming

    @property
    def error(self) -> grpc.RpcError | None:
        """What ended it; None = the server did, in order."""
        return self._error

    def take_message(self) -> ingest_pb2.IngestStreamResponse | None:
        """The next message. To be called under the lock."""
        return self._incoming.popleft() if self._incoming else None

    def send(self, request: ingest_pb2.IngestStreamRequest) -> None:
        """Hands a batch to gRPC; no more than the credits allow are ever handed over."""
        self._outgoing.put(request)

    def finish(self) -> None:
        """Says that nothing more is sent; answers still come."""
        self._outgoing.put(None)

    def close(self) -> None:
        """Ends it at once; safe to repeat."""
        self._outgoing.put(None)
        self._channel.close()  # cancels the call

    def _read(self) -> None:
        self._opened.wait()
        error: grpc.RpcError | None = None
        try:
            for message in self._call or ():
                with self._wake:
                    self._incoming.append(message)
                    self._wake.notify_all()
        except grpc.RpcError as ended_by:
            error = ended_by
        except Exception:
            _log.exception("reading acknowledgements failed; they are asked for again")
        with self._wake:
            self._error, self._ended = error, True
            self._wake.notify_all()
