"""One batch from its decoded form to one result per event: judge, apply the tenant's rules, store."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from obc_common.clock import Clock
from obc_common.context import Principal, RequestInfo
from obc_common.directory import TenantDirectory
from obc_common.postgres import is_connection_failure, map_postgres_error
from obc_common.ratelimit import Bucket, RateLimiter
from obc_ingest.admission import ByteBudget
from obc_ingest.evaluation import Evaluation
from obc_ingest.flush import Verdict
from obc_ingest.intake import Intake
from obc_ingest.left_out import LeftOutCounts
from obc_ingest.limits import Limits
from obc_ingest.metrics import RECEIVED, RESULTS
from obc_ingest.model import BatchResult, DecodedBatch, EventResult, Outcome
from obc_ingest.quota import QuotaBook
from obc_ingest.rules import RuleSet
from obc_ingest.salts import SaltStore
from obc_ingest.timestamps import skew_ms
from obc_ingest.validate import Reception
from obc_ingest.writer import GroupCommitWriter

_T = TypeVar("_T")

_EVENTS_PER_TURN = 200
"""Events judged before other callers get their turn of the loop: about 5 ms."""


class Ingestor:
    """Takes batches in.

    Args:
        directory: tenants' rules.
        limiter: of events per key and tenant.
        salts: of address and user-agent hashes.
        quotas: of events per tenant and day.
        budget: bytes that may be under way.
        intake: whose turn it is to be unpacked.
        writer: makes events durable.
        limits: what events are judged by.
        left_out: told what is left out of events.
        rate_per_second: events in the long run, per key and per tenant.
        burst: events at once, per key and per tenant.
        clock: time of reception.
    """

    def __init__(
        self,
        *,
        directory: TenantDirectory,
        limiter: RateLimiter,
        salts: SaltStore,
        quotas: QuotaBook,
        budget: ByteBudget,
        intake: Intake,
        writer: GroupCommitWriter,
        limits: Limits,
        left_out: LeftOutCounts,
        rate_per_second: float,
        burst: int,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._limiter = limiter
        self._salts = salts
        self._quotas = quotas
        self._budget = budget
        self._intake = intake
        self._writer = writer
        self._limits = limits
        self._left_out = left_out
        self._rate = rate_per_second
        self._burst = burst
        self._clock = clock
        self._rule_sets: dict[str, tuple[int, RuleSet]] = {}

    async def ingest(
        self, size: int, decode: Callable[[], DecodedBatch], principal: Principal, info: RequestInfo
    ) -> BatchResult:
        """Stores a batch; one result per event, in input order, once everything accepted is durable.

        Args:
            size: bytes of the batch as it came.
            decode: unpacks it; called when it is the batch's turn. What it raises is passed on.
            principal: who sends.
            info: what the edge saw.

        Raises:
            Unauthenticated: the tenant does not exist (any more).
            ResourceExhausted, OutOfRange: the rate limit, or the tenant's share; nothing was evaluated.
            Unavailable: nothing was promised; the same batch may be sent again.
        """
        tenant_id = principal.require_tenant()
        # What may take long comes before the turn.
        await self._rules(tenant_id)
        now = self._clock.now_ms()
        await _reachable(self._salts.hasher(tenant_id, now))
        with self._budget.hold(tenant_id, size):
            async with self._intake.turn(tenant_id, size):
                batch_id, evaluation = await self._evaluate(decode(), principal, info, now)
            return BatchResult(batch_id, await self.store(evaluation, info.transport))

    async def _evaluate(
        self, batch: DecodedBatch, principal: Principal, info: RequestInfo, now: int
    ) -> tuple[str, Evaluation]:
        """Judges every event. The unpacked batch is let go here: only what is to be stored waits for the commit."""
        await self._take_rate(principal, len(batch.events))
        self._writer.check_room(principal.tenant_id, len(batch.events), batch.size)
        skew = skew_ms(now, batch.sent_at_ms, self._limits.min_skew_ms, self._limits.age_ms)
        evaluation = await self.evaluation(Reception(principal.tenant_id, now, batch.sent_at_ms, skew), info)
        for index, raw in enumerate(batch.events, 1):
            evaluation.take(raw)
            if index % _EVENTS_PER_TURN == 0:
                await asyncio.sleep(0)
        return batch.batch_id, evaluation

    def turn(self, tenant_id: str, size: int) -> AbstractAsyncContextManager[None]:
        """The turn of so many bytes of a tenant to be unpacked."""
        return self._intake.turn(tenant_id, size)

    async def evaluation(
        self, reception: Reception, info: RequestInfo, *, limits: Limits | None = None, live: bool = True
    ) -> Evaluation:
        """A batch to be judged by the tenant's rules of now; `limits` replace those of live events.

        Raises:
            Unauthenticated: the tenant does not exist (any more).
            Unavailable: the database is away.
        """
        rules = await self._rules(reception.tenant_id)
        return Evaluation(
            reception=reception,
            rules=rules,
            info=info,
            hasher=await _reachable(self._salts.hasher(reception.tenant_id, self._clock.now_ms())),
            limits=limits or self._limits,
            left_out=self._left_out,
            live=live,
        )

    async def store(self, evaluation: Evaluation, way: str) -> list[EventResult]:
        """Stores what was judged; one result per event, in input order. `way` is the label of its metrics.

        Raises:
            Unavailable: nothing was promised; the same events may be stored again.
            ResourceExhausted: TENANT_BUSY, likewise.
        """
        verdicts = await self._store(evaluation)
        results = evaluation.results(verdicts)
        RECEIVED.labels(way).inc(len(results))
        for (outcome, code), count in Counter([(result.outcome, result.code) for result in results]).items():
            RESULTS.labels(outcome.value, code).inc(count)
        return results

    async def _store(self, evaluation: Evaluation) -> list[Verdict]:
        """Stores what the tenant's quota allows; what is granted and not stored is given back."""
        tenant_id = evaluation.tenant_id
        quota = evaluation.quota
        if not quota or not evaluation.events:
            return await self._writer.submit(tenant_id, evaluation.events, evaluation.bad_rows)
        granted = await _reachable(self._quotas.take(tenant_id, quota, len(evaluation.events)))
        evaluation.keep_first(granted)
        stored = 0
        try:
            verdicts = await self._writer.submit(tenant_id, evaluation.events, evaluation.bad_rows)
            stored = verdicts.count(Outcome.ACCEPTED)
        finally:
            self._quotas.give_back(tenant_id, granted - stored)
        return verdicts

    async def _rules(self, tenant_id: str) -> RuleSet:
        rules = await self._directory.rules_of_caller(tenant_id)
        known = self._rule_sets.get(tenant_id)
        if known is None or known[0] != rules.version:
            known = (rules.version, RuleSet.of(rules))
            self._rule_sets[tenant_id] = known
        return known[1]

    async def _take_rate(self, principal: Principal, cost: int) -> None:
        # The braces keep both buckets on one shard, should Redis be a cluster.
        tenant = f"ingest:{{{principal.tenant_id}}}"
        key = f"{tenant}:{principal.key_id or principal.subject}"
        buckets = [Bucket(tenant, self._rate, self._burst), Bucket(key, self._rate, self._burst)]
        await self._limiter.take_all(buckets, cost)


async def _reachable(answer: Awaitable[_T]) -> _T:
    """Awaits PostgreSQL; that it is away is said in the words of the API."""
    try:
        return await answer
    except Exception as error:
        if is_connection_failure(error):
            raise map_postgres_error(error) from error
        raise
