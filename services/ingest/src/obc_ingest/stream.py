"""One IngestStream: batches in, acks out after their commit, the tenant's rules pushed, an orderly end.

A client may have `credits` batches unacknowledged. One that sends more is simply not read: HTTP/2 makes it wait. One
that does not read its acks holds a bounded outbox until its connection reaches its greatest age.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.clock import Clock
from obc_common.context import Principal
from obc_common.directory import Subscription, TenantDirectory
from obc_common.errors import (
    DomainError,
    FailedPrecondition,
    InvalidArgument,
    OutOfRange,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from obc_common.logs import get_logger
from obc_ingest.client_config import client_config
from obc_ingest.metrics import BATCHES_FAILED

_log = get_logger(__name__)

_DEFAULT_RETRY_MS = 1000
_AGE_JITTER = 0.2
# A key that was rotated ends later than the change that said so, and nothing is said at its end.
_LOOK_AGAIN_SECONDS = 5.0
_CURRENT_SECONDS = 10.0

# What the same batch will meet again however often it is sent.
_PERMANENT = (InvalidArgument, OutOfRange, PermissionDenied, FailedPrecondition, Unauthenticated)

IngestOne = Callable[[pb.IngestStreamRequest], Awaitable[pb.StreamAck]]


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """`credits`: unacknowledged batches; `max_age`: seconds until the client is asked to reconnect."""

    credits: int
    max_age: float


class IngestStream:
    """Serves one stream.

    Args:
        principal: who sends.
        ingest: stores one request's batch and answers its ack.
        directory: the tenant's rules and the key's life.
        limits: credits and age.
        draining: set when the process is about to end.
        clock: the server time that clients are told, and the end of a token.
    """

    def __init__(
        self,
        principal: Principal,
        ingest: IngestOne,
        *,
        directory: TenantDirectory,
        limits: StreamLimits,
        draining: asyncio.Event,
        clock: Clock,
    ) -> None:
        self._principal = principal
        self._ingest = ingest
        self._directory = directory
        self._limits = limits
        self._draining = draining
        self._clock = clock
        self._told_version = 0
        self._credits = asyncio.Semaphore(limits.credits)
        # None: nothing follows. Config pushes need room besides the acks of all credits.
        self._outbox: asyncio.Queue[pb.IngestStreamResponse | None] = asyncio.Queue(limits.credits + 2)

    async def serve(
        self, requests: AsyncIterator[pb.IngestStreamRequest]
    ) -> AsyncGenerator[pb.IngestStreamResponse, None]:
        """Answers until the client has finished, the stream is old, the process drains, or the key is revoked.

        Raises:
            Unauthenticated: KEY_REVOKED, after the last ack.
        """
        with self._directory.subscribe(self._principal.require_tenant()) as changes:
            yield await self._ready()
            work = asyncio.create_task(self._work(requests, changes))
            try:
                while (message := await self._outbox.get()) is not None:
                    yield message
                await work  # raises what ended the stream, if it was no orderly end
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    async def _work(self, requests: AsyncIterator[pb.IngestStreamRequest], changes: Subscription) -> None:
        try:
            async with asyncio.TaskGroup() as batches:
                ended = await self._until_something_ends(requests, changes, batches)
            # Everything that was read has its ack in the outbox now.
            for watch in ended:
                await watch  # raises KEY_REVOKED, or what went wrong
            if "read" not in {watch.get_name() for watch in ended}:
                reason = "draining" if self._draining.is_set() else "max_age"
                await self._outbox.put(pb.IngestStreamResponse(reconnect=pb.StreamReconnect(reason=reason)))
        except Exception:  # not when cancelled: then nobody takes from the outbox any more
            await self._outbox.put(None)
            raise
        await self._outbox.put(None)

    async def _until_something_ends(
        self, requests: AsyncIterator[pb.IngestStreamRequest], changes: Subscription, batches: asyncio.TaskGroup
    ) -> set[asyncio.Task[Any]]:
        watches: set[asyncio.Task[Any]] = {
            asyncio.create_task(self._read(requests, batches), name="read"),
            asyncio.create_task(self._watch_config(changes), name="config"),
            asyncio.create_task(self._watch_age(), name="max_age"),
            asyncio.create_task(self._draining.wait(), name="draining"),
        }
        try:
            ended, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.wait(watches)
        return ended

    async def _read(self, requests: AsyncIterator[pb.IngestStreamRequest], batches: asyncio.TaskGroup) -> None:
        await self._credits.acquire()
        async for request in requests:
            batches.create_task(self._take(request))
            await self._credits.acquire()

    async def _take(self, request: pb.IngestStreamRequest) -> None:
        try:
            ack = await self._ingest(request)
            ack.credits = self._limits.credits
            answer = pb.IngestStreamResponse(ack=ack)
        except DomainError as error:
            BATCHES_FAILED.labels(error.reason).inc()
            answer = pb.IngestStreamResponse(retry=_retry(request.seq, error))
        except Exception:
            _log.exception("stream_batch_failed")
            BATCHES_FAILED.labels("INTERNAL").inc()
            unknown = Unavailable("INTERNAL", "something went wrong", retry_after=1.0)
            answer = pb.IngestStreamResponse(retry=_retry(request.seq, unknown))
        await self._outbox.put(answer)
        self._credits.release()

    async def _watch_config(self, changes: Subscription) -> None:
        tenant_id, key_id = self._principal.tenant_id, self._principal.key_id
        was_live = changed = False
        while True:
            is_live = not key_id or self._directory.key_is_live(key_id)
            # A key the edge knows may be unknown to a copy that is behind: that alone ends nothing.
            is_current = self._directory.age_seconds() < _CURRENT_SECONDS
            if not is_live and (changed or (was_live and is_current)):
                raise Unauthenticated("KEY_REVOKED", "the key was revoked")
            was_live = is_live
            rules = self._directory.rules(tenant_id)
            if rules is not None and rules.version != self._told_version:
                self._told_version = rules.version
                await self._outbox.put(pb.IngestStreamResponse(config=client_config(rules)))
            try:
                async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                    await anext(changes)
                changed = True
            except TimeoutError:
                changed = False

    async def _watch_age(self) -> None:
        """Returns when the client should reconnect: spread over time, and never later than its token's end."""
        age = self._limits.max_age * random.uniform(1.0, 1.0 + _AGE_JITTER)  # noqa: S311  # jitter, no secret
        if self._principal.expires_at_ms:
            age = min(age, max(0.0, (self._principal.expires_at_ms - self._clock.now_ms()) / 1000))
        await asyncio.sleep(age)

    async def _ready(self) -> pb.IngestStreamResponse:
        rules = await self._directory.rules_of_caller(self._principal.tenant_id)
        self._told_version = rules.version
        return pb.IngestStreamResponse(
            ready=pb.StreamReady(
                credits=self._limits.credits, server_time_ms=self._clock.now_ms(), config=client_config(rules)
            )
        )


def _retry(seq: int, error: DomainError) -> pb.StreamRetry:
    permanent = isinstance(error, _PERMANENT)
    wait = _DEFAULT_RETRY_MS if error.retry_after is None else max(1, round(error.retry_after * 1000))
    return pb.StreamRetry(
        seq=seq,
        retry_after_ms=0 if permanent else wait,
        reason=error.reason,
        permanent=permanent,
        message=error.message,
    )
