"""One batch from its decoded form to one result per event: judge, apply the tenant's rules, store."""

import asyncio
from collections.abc import Callable
from typing import Any

from obc_common.clock import Clock
from obc_common.context import Principal, RequestInfo
from obc_common.directory import TenantDirectory
from obc_common.logs import get_logger
from obc_common.postgres import is_connection_failure, map_postgres_error
from obc_common.ratelimit import Bucket, RateLimiter
from obc_ingest.bad_rows import bad_row
from obc_ingest.flush import Verdict
from obc_ingest.intake import Intake
from obc_ingest.limits import Limits
from obc_ingest.metrics import RECEIVED, RESULTS, SCRUBBED
from obc_ingest.model import BadRow, BatchResult, DecodedBatch, Event, EventResult, Outcome, Rejected
from obc_ingest.rules import RuleSet
from obc_ingest.salts import Hasher, SaltStore
from obc_ingest.scrub import scrub_event
from obc_ingest.timestamps import skew_ms
from obc_ingest.useragent import correct_device_info
from obc_ingest.validate import Reception, event_label, validate
from obc_ingest.writer import GroupCommitWriter

_log = get_logger(__name__)

_EVENTS_PER_TURN = 200
"""Events judged before other callers get their turn of the loop: about 5 ms."""


class Ingestor:
    """Takes batches in.

    Args:
        directory: tenants' rules.
        limiter: of events per key and tenant.
        salts: of address and user-agent hashes.
        intake: whose turn it is to be unpacked.
        writer: makes events durable.
        limits: what events are judged by.
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
        intake: Intake,
        writer: GroupCommitWriter,
        limits: Limits,
        rate_per_second: float,
        burst: int,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._limiter = limiter
        self._salts = salts
        self._intake = intake
        self._writer = writer
        self._limits = limits
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
            ResourceExhausted, OutOfRange: the rate limit; nothing was evaluated.
            Unavailable: nothing was promised; the same batch may be sent again.
        """
        tenant_id = principal.require_tenant()
        # What may take long comes before the turn.
        await self._rules(tenant_id)
        now = self._clock.now_ms()
        hasher = await self._hasher(tenant_id, now)
        async with self._intake.turn(size):
            batch_id, evaluation = await self._evaluate(decode(), principal, info, hasher, now)
        verdicts = await self._writer.submit(evaluation.events, evaluation.bad_rows)
        results = evaluation.results(verdicts)
        RECEIVED.labels(info.transport).inc(len(results))
        for result in results:
            RESULTS.labels(result.outcome.value, result.code).inc()
        return BatchResult(batch_id, results)

    async def _evaluate(
        self, batch: DecodedBatch, principal: Principal, info: RequestInfo, hasher: Hasher, now: int
    ) -> "tuple[str, _Evaluation]":
        """Judges every event. The unpacked batch is let go here: only what is to be stored waits for the commit."""
        await self._take_rate(principal, len(batch.events))
        self._writer.check_room(len(batch.events), batch.size)
        evaluation = _Evaluation(
            reception=Reception(
                principal.tenant_id,
                now,
                batch.sent_at_ms,
                skew_ms(now, batch.sent_at_ms, self._limits.min_skew_ms, self._limits.age_ms),
            ),
            rules=await self._rules(principal.tenant_id),
            info=info,
            hasher=hasher,
            limits=self._limits,
        )
        for index, raw in enumerate(batch.events, 1):
            evaluation.take(raw)
            if index % _EVENTS_PER_TURN == 0:
                await asyncio.sleep(0)
        return batch.batch_id, evaluation

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

    async def _hasher(self, tenant_id: str, now: int) -> Hasher:
        try:
            return await self._salts.hasher(tenant_id, now)
        except Exception as error:
            if is_connection_failure(error):
                raise map_postgres_error(error) from error
            raise


class _Evaluation:
    """Judges the events of one batch and keeps each one's place."""

    def __init__(
        self, *, reception: Reception, rules: RuleSet, info: RequestInfo, hasher: Hasher, limits: Limits
    ) -> None:
        self._reception = reception
        self._rules = rules
        self._info = info
        self._hasher = hasher
        self._limits = limits
        self._ip_hash = hasher.address(info.client_ip)
        self._answers: list[EventResult | Event] = []
        self.events: list[Event] = []
        self.bad_rows: list[BadRow] = []

    def take(self, raw: Any) -> None:
        """Judges the next event. Never raises: a defect of ours costs that event only, and it is kept."""
        try:
            self._answers.append(self._judge(raw))
        except Rejected as rejected:
            self._reject(raw, rejected)
        except Exception as error:
            _log.exception("event_evaluation_failed", tenant_id=self._reception.tenant_id)
            self._reject(raw, Rejected("internal", "", f"the event could not be evaluated: {type(error).__name__}"))

    def results(self, verdicts: list[Verdict]) -> list[EventResult]:
        """One result per event, in input order; `verdicts` are those of `events`."""
        stored = iter(verdicts)
        return [
            _stored_result(answer, next(stored)) if isinstance(answer, Event) else answer for answer in self._answers
        ]

    def _judge(self, raw: Any) -> EventResult | Event:
        reason = self._rules.drop_unread(raw, gpc=self._info.gpc)
        if reason:
            return EventResult(event_label(raw), Outcome.DROPPED, reason)
        event = validate(raw, self._reception, self._limits)
        reason = self._rules.drop(event)
        if reason:
            return EventResult(event.event_id, Outcome.DROPPED, reason)
        self._anonymise(event)
        self._rules.strip(event)
        if scrub_event(event):
            SCRUBBED.inc()
        self.events.append(event)
        return event

    def _anonymise(self, event: Event) -> None:
        """Reads the user agent, then forgets it. A library's own (`python-requests`) says nothing about a device."""
        user_agent = event.user_agent
        if not user_agent and self._info.user_agent.startswith("Mozilla/"):
            user_agent = self._info.user_agent
        if user_agent:
            correct_device_info(event.device_info, user_agent)
        event.user_agent = self._hasher.user_agent(user_agent)
        event.ip_hash = self._ip_hash

    def _reject(self, raw: Any, rejected: Rejected) -> None:
        reception = self._reception
        try:
            row = bad_row(
                raw,
                rejected,
                reception.tenant_id,
                reception.received_at_ms,
                self._info.sdk,
                minimal=self._rules.tracking_level == "minimal",
            )
        except Exception:
            _log.exception("bad_row_lost", tenant_id=reception.tenant_id, code=rejected.code)
        else:
            self.bad_rows.append(row)
        self._answers.append(
            EventResult(event_label(raw), Outcome.REJECTED, rejected.code, rejected.field, rejected.message)
        )


def _stored_result(event: Event, verdict: Verdict) -> EventResult:
    if isinstance(verdict, Rejected):
        return EventResult(event.event_id, Outcome.REJECTED, verdict.code, verdict.field, verdict.message)
    return EventResult(event.event_id, verdict, message=event.note if verdict is Outcome.ACCEPTED else "")
