"""Sending one batch as one call that blocks: the way without a stream."""

from collections.abc import Sequence
from typing import Protocol

import grpc

from obc_analytics._proto import ingest_pb2
from obc_analytics.connection import BATCH_METHOD, Endpoint, problem_of
from obc_analytics.errors import DeliveryProblem
from obc_analytics.event import Event
from obc_analytics.results import EventResult
from obc_analytics.wire import results_of, to_proto


class NotStored(Exception):
    """A batch has no results.

    Attributes:
        problem: why.
        retry_after: seconds the server asks to wait; 0 = it does not say.
        permanent: the same batch can never help.
        reason: machine-readable, e.g. `BODY_TOO_LARGE`; may be empty.
    """

    def __init__(
        self, problem: DeliveryProblem, *, retry_after: float = 0.0, permanent: bool = False, reason: str = ""
    ) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.retry_after = retry_after
        self.permanent = permanent
        self.reason = reason


class Sender(Protocol):
    """Sends one batch and waits for its results."""

    def send(self, events: Sequence[Event], batch_id: str, sent_at_ms: int) -> list[EventResult]:
        """One result for each event, in order. Raises NotStored."""
        ...

    def close(self) -> None:
        """Closes its connection; the next `send` opens a new one."""
        ...


class UnarySender:
    """IngestBatch. It starts no thread, so it works while the interpreter ends, when a new stream does not."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self._endpoint = endpoint
        self._timeout = timeout

    def send(self, events: Sequence[Event], batch_id: str, sent_at_ms: int) -> list[EventResult]:
        """One result for each event, in order. Raises NotStored."""
        with self._endpoint.open() as channel:
            call = channel.unary_unary(
                BATCH_METHOD,
                request_serializer=ingest_pb2.IngestBatchRequest.SerializeToString,
                response_deserializer=ingest_pb2.IngestBatchResponse.FromString,
            )
            request = ingest_pb2.IngestBatchRequest(batch_id=batch_id, typed=to_proto(events, sent_at_ms))
            try:
                answer = call(request, timeout=self._timeout, metadata=self._endpoint.metadata)
                return results_of(events, answer.results)
            except grpc.RpcError as error:
                raise NotStored(problem_of(error)) from error
            except DeliveryProblem as problem:
                raise NotStored(problem) from problem

    def close(self) -> None:
        """Nothing is kept open."""
