"""IngestService: messages in, messages out. What is meant by them is the Ingestor's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from obc_common.clock import Clock
from obc_common.context import Principal, RequestInfo, current_principal, current_request
from obc_common.directory import TenantDirectory
from obc_common.errors import DomainError, InvalidArgument, PermissionDenied, Unauthenticated, Unavailable
from obc_ingest.codec import (
    decode_typed,
    encode_batch_json,
    encode_result_lines,
    encode_results,
    encode_results_json,
    wanted_results,
)
from obc_ingest.decode import decode_body, decode_frame
from obc_ingest.importer import Importer
from obc_ingest.ingestor import Ingestor
from obc_ingest.limits import Limits
from obc_ingest.metrics import BATCHES_FAILED, STREAMS
from obc_ingest.model import DecodedBatch, Outcome
from obc_ingest.replay import Replayer
from obc_ingest.replay_codec import (
    encode_replay,
    replay_filter,
    replay_ids,
    replay_position,
    replay_size,
    replay_token,
)
from obc_ingest.stream import IngestStream, StreamLimits


class IngestServicer(pb_grpc.IngestServiceServicer):
    """Serves obc.ingest.v1.IngestService. Needs scope `ingest` and a credential that belongs to a tenant."""

    def __init__(
        self,
        ingestor: Ingestor,
        directory: TenantDirectory,
        *,
        importer: Importer,
        replayer: Replayer,
        page_token_secret: str,
        limits: Limits,
        stream_limits: StreamLimits,
        draining: asyncio.Event,
        clock: Clock,
    ) -> None:
        self._ingestor = ingestor
        self._directory = directory
        self._importer = importer
        self._replayer = replayer
        self._page_token_secret = page_token_secret
        self._limits = limits
        self._stream_limits = stream_limits
        self._draining = draining
        self._clock = clock

    async def IngestBatch(
        self,
        request: pb.IngestBatchRequest,
        context: grpc.aio.ServicerContext[pb.IngestBatchRequest, pb.IngestBatchResponse],
    ) -> pb.IngestBatchResponse:
        """Stores one batch."""
        principal, info = current_principal(), current_request()
        try:
            principal.require_scope("ingest")
            result = await self._ingestor.ingest(
                _size(request), lambda: self._decode_batch(request, principal), principal, info
            )
        except DomainError as error:
            BATCHES_FAILED.labels(error.reason).inc()
            raise
        is_json = request.WhichOneof("batch") == "json"
        return pb.IngestBatchResponse(
            batch_id=result.batch_id,
            accepted=result.count(Outcome.ACCEPTED),
            duplicate=result.count(Outcome.DUPLICATE),
            dropped=result.count(Outcome.DROPPED),
            rejected=result.count(Outcome.REJECTED),
            results=() if is_json else encode_results(result.results),
            json=encode_batch_json(result) if is_json else b"",
        )

    async def IngestStream(
        self,
        request_iterator: AsyncIterator[pb.IngestStreamRequest],
        context: grpc.aio.ServicerContext[pb.IngestStreamRequest, pb.IngestStreamResponse],
    ) -> AsyncIterator[pb.IngestStreamResponse]:
        """Stores batches as they come."""
        principal, info = current_principal(), current_request()
        principal.require_scope("ingest")

        async def ingest(request: pb.IngestStreamRequest) -> pb.StreamAck:
            return await self._ingest_frame(request, principal, info)

        stream = IngestStream(
            principal,
            ingest,
            directory=self._directory,
            limits=self._stream_limits,
            draining=self._draining,
            clock=self._clock,
        )
        with STREAMS.track_inprogress():
            async with aclosing(stream.serve(request_iterator)) as responses:
                async for response in responses:
                    yield response

    async def ImportEvents(
        self,
        request_iterator: AsyncIterator[pb.ImportEventsRequest],
        context: grpc.aio.ServicerContext[pb.ImportEventsRequest, pb.ImportEventsResponse],
    ) -> AsyncIterator[pb.ImportEventsResponse]:
        """Stores chunks one after the other: a caller that is faster is not read, and HTTP/2 makes it wait."""
        principal, info = current_principal(), current_request()
        _require_private(principal)
        async for request in request_iterator:
            self._check_still_served(principal)
            first_line = max(1, request.first_line)
            chunk = await self._importer.take(first_line, request.lines, principal, info)
            counts = chunk.counts()
            yield pb.ImportEventsResponse(
                next_line=chunk.next_line,
                results_ndjson=encode_result_lines(wanted_results(chunk.results, request.results)),
                accepted=counts[Outcome.ACCEPTED],
                duplicate=counts[Outcome.DUPLICATE],
                dropped=counts[Outcome.DROPPED],
                rejected=counts[Outcome.REJECTED],
            )

    async def ReplayBadRows(
        self,
        request: pb.ReplayBadRowsRequest,
        context: grpc.aio.ServicerContext[pb.ReplayBadRowsRequest, pb.ReplayBadRowsResponse],
    ) -> pb.ReplayBadRowsResponse:
        """Judges bad rows again."""
        principal = current_principal()
        _require_private(principal)
        tenant_id = principal.require_tenant()
        if request.ids:
            return encode_replay(await self._replayer.replay_ids(tenant_id, replay_ids(request)))
        wanted = replay_filter(request)
        after_id = replay_position(request, tenant_id, self._page_token_secret)
        done, last_id = await self._replayer.replay_matching(tenant_id, wanted, after_id, replay_size(request))
        response = encode_replay(done)
        if last_id is not None:
            response.next_page_token = replay_token(request, tenant_id, self._page_token_secret, last_id)
        return response

    def _check_still_served(self, principal: Principal) -> None:
        if self._draining.is_set():
            raise Unavailable("SHUTTING_DOWN", "the service is stopping", retry_after=1.0)
        expired = 0 < principal.expires_at_ms <= self._clock.now_ms()
        if expired or (principal.key_id and not self._directory.key_is_live(principal.key_id)):
            raise Unauthenticated("KEY_REVOKED", "the credential is no longer valid")

    async def _ingest_frame(
        self, request: pb.IngestStreamRequest, principal: Principal, info: RequestInfo
    ) -> pb.StreamAck:
        def decode() -> DecodedBatch:
            return self._decode_frame(request, principal)

        results = (await self._ingestor.ingest(_size(request), decode, principal, info)).results
        if request.WhichOneof("batch") == "json":
            return pb.StreamAck(seq=request.seq, results_json=encode_results_json(results))
        return pb.StreamAck(seq=request.seq, results=encode_results(results))

    def _decode_batch(self, request: pb.IngestBatchRequest, principal: Principal) -> DecodedBatch:
        match request.WhichOneof("batch"):
            case "typed":
                return decode_typed(request.typed, request.batch_id, self._limits)
            case "json":
                return decode_body(request.json, principal.tenant_id, self._limits)
            case _:
                raise _no_batch()

    def _decode_frame(self, request: pb.IngestStreamRequest, principal: Principal) -> DecodedBatch:
        match request.WhichOneof("batch"):
            case "typed":
                return decode_typed(request.typed, "", self._limits)
            case "json":
                return decode_frame(request.json, principal.tenant_id, self._limits)
            case _:
                raise _no_batch()


def _size(request: pb.IngestBatchRequest | pb.IngestStreamRequest) -> int:
    return request.typed.ByteSize() if request.WhichOneof("batch") == "typed" else len(request.json)


def _no_batch() -> InvalidArgument:
    return InvalidArgument("EMPTY_BATCH", "the request has no batch", field="batch")


def _require_private(principal: Principal) -> None:
    """Write keys are public: whoever reads a page's source must not be able to rewrite its tenant's history."""
    principal.require_scope("ingest")
    if principal.kind == "write":
        raise PermissionDenied("SECRET_KEY_REQUIRED", "this call needs a secret key with the scope 'ingest'")
