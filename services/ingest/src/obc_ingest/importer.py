"""Imports history: chunks of NDJSON lines, of any age, as fast as the tenant may and the database can.

What differs from live events: no event is too old (back to the year 2000); nothing is known of the sender's clock,
address and user agent; the live feed is not told; and a limit slows an import down where it would refuse a batch. Ids
are remembered from the day they are received on, like those of live events: within the dedup window a repeated import
stores nothing twice.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import asyncpg
import orjson

from obc_common.clock import Clock
from obc_common.context import Principal, RequestInfo
from obc_common.errors import OutOfRange, ResourceExhausted, Unavailable
from obc_common.postgres import map_postgres_error
from obc_common.ratelimit import RateLimiter
from obc_ingest.decode import is_bad_encoding
from obc_ingest.evaluation import Evaluation
from obc_ingest.ingestor import Ingestor
from obc_ingest.limits import Limits
from obc_ingest.model import EventResult, Outcome, Rejected
from obc_ingest.partitions import Partitions, month_of
from obc_ingest.timestamps import utc
from obc_ingest.validate import Reception

MAX_LINES = 2000
MAX_LINE_BYTES = 65_536
_WAY = "import"
_Done = TypeVar("_Done")
_LINES_PER_TURN = 200
_LONGEST_PAUSE = 5.0
_PATIENCE = 30.0
"""Seconds that a chunk is tried for while the database is away or busy."""


@dataclass(frozen=True, slots=True)
class ImportedChunk:
    """What became of one chunk: results with the numbers of their lines, and the line to go on with."""

    next_line: int
    results: Sequence[tuple[int, EventResult]]

    def counts(self) -> Counter[Outcome]:
        """How many events had each outcome."""
        return Counter(result.outcome for _, result in self.results)


class Importer:
    """Takes chunks in.

    Args:
        ingestor: judges and stores.
        limiter: of imported events per tenant.
        partitions: made before the transaction that needs them, so that nobody else's events wait for it.
        limits: of live events; an import's follow from them.
        rate_per_second: events per second of one tenant.
        clock: time of reception.
    """

    def __init__(
        self,
        *,
        ingestor: Ingestor,
        limiter: RateLimiter,
        partitions: Partitions,
        limits: Limits,
        rate_per_second: float,
        clock: Clock,
    ) -> None:
        self._ingestor = ingestor
        self._limiter = limiter
        self._partitions = partitions
        self._limits = replace(limits, any_age=True)
        self._rate = rate_per_second
        self._clock = clock

    async def take(self, first_line: int, chunk: bytes, principal: Principal, info: RequestInfo) -> ImportedChunk:
        """Stores a chunk; one result per line that is not empty, once everything accepted is durable.

        Raises:
            OutOfRange: TOO_MANY_EVENTS.
            Unauthenticated: the tenant does not exist (any more).
            Unavailable, ResourceExhausted: nothing was promised; the same chunk may be sent again.
        """
        lines = chunk.split(b"\n") if chunk else []
        if len(lines) > MAX_LINES:
            raise OutOfRange(
                "TOO_MANY_EVENTS",
                f"a chunk may have at most {MAX_LINES} lines, this one has {len(lines)}",
                metadata={"limit": str(MAX_LINES), "lines": str(len(lines))},
            )
        numbered = [(number, line) for number, line in enumerate(lines, first_line) if line.strip()]
        await self._pace(principal, len(numbered))
        evaluation = await self._retried(lambda: self._evaluate(numbered, len(chunk), principal, info))
        results = await self._retried(lambda: self._store(evaluation))
        return ImportedChunk(
            first_line + len(lines), [(number, r) for (number, _), r in zip(numbered, results, strict=True)]
        )

    async def _pace(self, principal: Principal, events: int) -> None:
        """Takes from a bucket of the import's own: history must not use up what live events may send."""
        bucket = f"import:{{{principal.tenant_id}}}"
        while events:
            try:
                await self._limiter.take(bucket, events, self._rate, max(int(self._rate), 2 * MAX_LINES))
                return
            except ResourceExhausted as error:
                await asyncio.sleep(min(error.retry_after or 1.0, _LONGEST_PAUSE))

    async def _evaluate(
        self, numbered: Sequence[tuple[int, bytes]], size: int, principal: Principal, info: RequestInfo
    ) -> Evaluation:
        async with self._ingestor.turn(principal.require_tenant(), size):
            evaluation = await self._ingestor.evaluation(
                Reception(principal.require_tenant(), self._clock.now_ms(), 0, 0),
                RequestInfo(sdk=info.sdk),
                limits=self._limits,
                live=False,
            )
            for index, (_, line) in enumerate(numbered, 1):
                _judge(line, evaluation)
                if index % _LINES_PER_TURN == 0:
                    await asyncio.sleep(0)
        return evaluation

    async def _store(self, evaluation: Evaluation) -> list[EventResult]:
        await self._ensure_partitions(evaluation)
        return await self._ingestor.store(evaluation, _WAY)

    async def _retried(self, step: Callable[[], Awaitable[_Done]]) -> _Done:
        """Waits while others are served. A step that failed does not harm the next try: ids make it idempotent."""
        give_up_at = self._clock.monotonic() + _PATIENCE
        while True:
            try:
                return await step()
            except (Unavailable, ResourceExhausted) as error:
                pause = (error.retry_after or 1.0) * random.uniform(0.5, 1.5)  # noqa: S311  # jitter, no secret
                if error.reason == "SHUTTING_DOWN" or self._clock.monotonic() + pause > give_up_at:
                    raise
                await asyncio.sleep(pause)

    async def _ensure_partitions(self, evaluation: Evaluation) -> None:
        try:
            await self._partitions.ensure({month_of(utc(event.event_time_ms)) for event in evaluation.events})
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:  # TimeoutError is an OSError
            raise map_postgres_error(error) from error


def _judge(line: bytes, evaluation: Evaluation) -> None:
    try:
        evaluation.take(_parse(line))
    except Rejected as rejected:
        evaluation.reject(line.decode("utf-8", "replace"), rejected)


def _parse(line: bytes) -> Any:
    """The event of a line. Raises Rejected: event_too_big, bad_encoding, bad_json."""
    if len(line) > MAX_LINE_BYTES:
        raise Rejected("event_too_big", "", f"a line may have at most {MAX_LINE_BYTES} bytes")
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if is_bad_encoding(line):
            raise Rejected("bad_encoding", "", "a line must be UTF-8 without a byte order mark") from None
        raise Rejected("bad_json", "", f"the line is not JSON: {error.msg}"[:200]) from None
