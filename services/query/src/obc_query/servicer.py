"""QueryService on the wire: messages to questions, answers to messages, and the rights to ask."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from obc.query.v1 import (
    activity_pb2,
    bad_row_pb2,
    cohort_pb2,
    dashboard_pb2,
    explain_pb2,
    funnels_pb2,
    live_pb2,
    metrics_pb2,
    paths_pb2,
    query_service_pb2_grpc,
    retention_pb2,
    schema_pb2,
    stored_event_pb2,
    timeline_pb2,
    trends_pb2,
)
from obc_common.clock import Clock
from obc_common.context import Principal, current_principal
from obc_common.errors import DeadlineExceeded, FailedPrecondition, Unauthenticated
from obc_common.postgres import Pool
from obc_common.tenant_state import TenantRules
from obc_query import codec
from obc_query.asker import Asker, AskerFactory
from obc_query.bad_row_codec import bad_rows_question, bad_rows_response, data_quality_response
from obc_query.cached_answers import CachedAnswers, Response
from obc_query.cohorts.directory import CohortDirectory
from obc_query.cohorts.preview import PREVIEW
from obc_query.insights import explain
from obc_query.insights.funnels import FUNNELS
from obc_query.insights.insight import Insight, Question
from obc_query.insights.lifecycle import LIFECYCLE
from obc_query.insights.paths import PATHS
from obc_query.insights.retention import RETENTION
from obc_query.insights.sessions import SESSIONS
from obc_query.insights.stickiness import STICKINESS
from obc_query.insights.trends import TRENDS
from obc_query.live.hub import LiveHub
from obc_query.questions.bad_rows import list_bad_rows
from obc_query.questions.dashboard.answer import get_dashboard, live_users_statement
from obc_query.questions.data_quality import get_data_quality
from obc_query.questions.list_events import list_events
from obc_query.questions.metrics import get_metrics
from obc_query.ranges import parse_range
from obc_query.requests import (
    cache_question,
    canonical,
    dashboard_request,
    insight_key,
    list_question,
    metrics_request,
    page_token,
)
from obc_query.timeline import timeline_question, timeline_response
from obc_query.vocabulary import EVENT_NAMES, PROPERTY_NAMES

_SCOPE = "query"
# Left to the answer's way back, of the caller's time.
_MARGIN_SECONDS = 0.05
_Request = TypeVar("_Request", bound=Message)
_Question = TypeVar("_Question", bound=Question)
_Response = TypeVar("_Response", bound=Response)
_Context = grpc.aio.ServicerContext[Any, Any]


class Rules(Protocol):
    """What the servicer asks of the tenant directory."""

    def rules(self, tenant_id: str) -> TenantRules | None:
        """A tenant's rules now; None = no such tenant."""
        ...

    async def rules_of_caller(self, tenant_id: str) -> TenantRules:
        """The same, waiting a moment for a tenant that is new. Raises Unauthenticated or Unavailable."""
        ...

    def key_is_live(self, key_id: str) -> bool:
        """False when the key was revoked or has expired."""
        ...


class QueryServicer(query_service_pb2_grpc.QueryServiceServicer):
    """Answers questions for the credential's tenant."""

    def __init__(
        self,
        *,
        askers: AskerFactory,
        pool: Pool,
        answers: CachedAnswers,
        cohorts: CohortDirectory,
        hub: LiveHub,
        directory: Rules,
        clock: Clock,
        page_token_secret: str,
        query_timeout: float,
        draining: asyncio.Event,
    ) -> None:
        self._askers = askers
        self._pool = pool
        self._answers = answers
        self._cohorts = cohorts
        self._hub = hub
        self._directory = directory
        self._clock = clock
        self._page_token_secret = page_token_secret
        self._query_timeout = query_timeout
        self._draining = draining

    async def ListEvents(
        self, request: stored_event_pb2.ListEventsRequest, context: _Context
    ) -> stored_event_pb2.ListEventsResponse:
        tenant_id = _tenant_of(current_principal())
        question = list_question(request, tenant_id, self._page_token_secret)
        async with self._askers.question(tenant_id, self._timeout(context)) as asker:
            page = await list_events(asker, self._pool, tenant_id, question, self._clock.now_ms())
        token = ""
        if page.next_after is not None:
            token = page_token(request, tenant_id, self._page_token_secret, page.next_after)
        events = [codec.stored_event(row) for row in page.rows]
        return stored_event_pb2.ListEventsResponse(events=events, next_page_token=token)

    async def ListBadRows(
        self, request: bad_row_pb2.ListBadRowsRequest, context: _Context
    ) -> bad_row_pb2.ListBadRowsResponse:
        tenant_id = _tenant_of(current_principal())
        question = bad_rows_question(request, tenant_id, self._page_token_secret)
        page = await list_bad_rows(self._pool, tenant_id, question)
        return bad_rows_response(page, request, tenant_id, self._page_token_secret)

    async def GetDataQuality(
        self, request: bad_row_pb2.GetDataQualityRequest, context: _Context
    ) -> bad_row_pb2.GetDataQualityResponse:
        tenant_id = _tenant_of(current_principal())
        span = parse_range(request.from_time, request.to_time, self._clock.now_ms())
        return data_quality_response(await get_data_quality(self._pool, tenant_id, span), span)

    async def GetMetrics(
        self, request: metrics_pb2.GetMetricsRequest, context: _Context
    ) -> metrics_pb2.GetMetricsResponse:
        tenant_id = _tenant_of(current_principal())
        now_ms = self._clock.now_ms()
        asked = metrics_request(request, now_ms)
        span = asked.question.span

        async def answer(asker: Asker) -> metrics_pb2.GetMetricsResponse:
            found = await get_metrics(asker, tenant_id, asked.question, now_ms)
            return metrics_pb2.GetMetricsResponse(
                series=[codec.metric_series(series) for series in found.series],
                from_ms=span.start_ms,
                to_ms=span.end_ms,
                interval=asked.interval,
                timezone=asked.timezone,
                info=metrics_pb2.AnswerInfo(sampled=found.sampled),
            )

        end_ms = asked.question.buckets.end
        key = cache_question(
            "GetMetrics", [span.start_ms, span.end_ms], canonical(request), end_ms=end_ms, now_ms=now_ms
        )
        return await self._answers.answer(
            metrics_pb2.GetMetricsResponse, tenant_id, key, answer, self._timeout(context)
        )

    async def GetDashboard(
        self, request: dashboard_pb2.GetDashboardRequest, context: _Context
    ) -> dashboard_pb2.GetDashboardResponse:
        tenant_id = _tenant_of(current_principal())
        now_ms = self._clock.now_ms()
        asked = dashboard_request(request, now_ms)

        async def answer(asker: Asker) -> dashboard_pb2.GetDashboardResponse:
            found = await get_dashboard(asker, tenant_id, asked.span, asked.zone, now_ms)
            response = codec.dashboard_response(found)
            response.from_ms, response.to_ms = asked.span.start_ms, asked.span.end_ms
            response.previous_from_ms = asked.span.previous.start_ms
            response.timezone = asked.zone.key
            response.info.sampled = found.sampled
            return response

        # The last day of the series ends at most a day (of 25 hours) behind the range.
        end_ms = asked.span.end_ms + 25 * 3_600_000
        key = cache_question(
            "GetDashboard", [asked.span.start_ms, asked.span.end_ms], canonical(request), end_ms=end_ms, now_ms=now_ms
        )
        response = await self._answers.answer(
            dashboard_pb2.GetDashboardResponse, tenant_id, key, answer, self._timeout(context)
        )
        # Who is there now changes with time alone, so it is never taken from the cache.
        async with self._askers.question(tenant_id, self._timeout(context)) as asker:
            people = await asker.fetch(live_users_statement(tenant_id, now_ms))
        response.tenant_analytics.live_users = float(people[0][0])
        return response

    async def StreamLive(
        self, request: live_pb2.StreamLiveRequest, context: _Context
    ) -> AsyncIterator[live_pb2.StreamLiveResponse]:
        principal = current_principal()
        tenant_id = _tenant_of(principal)
        await self._directory.rules_of_caller(tenant_id)
        self._require_real_time(principal)
        draining = asyncio.create_task(self._draining.wait(), name="live draining")
        try:
            async with self._hub.join(tenant_id) as subscriber:
                while not draining.done():
                    taking = asyncio.create_task(subscriber.take(), name="live take")
                    try:
                        await asyncio.wait({taking, draining}, return_when=asyncio.FIRST_COMPLETED)
                        if not taking.done():
                            return
                        message, snapshot = taking.result()
                    finally:
                        taking.cancel()
                    # A snapshot comes every second, so a change of rules or a revoked key ends the stream in time.
                    self._require_real_time(principal)
                    if message is not None and not request.snapshots_only:
                        yield codec.live_events(message)
                    if snapshot is not None:
                        yield codec.live_snapshot(snapshot, self._clock.now_ms())
        finally:
            draining.cancel()

    def _require_real_time(self, principal: Principal) -> None:
        rules = self._directory.rules(principal.tenant_id)
        if rules is None or not rules.real_time_enabled:
            raise FailedPrecondition("REAL_TIME_DISABLED", "the live feed is switched off for this tenant")
        expired = 0 < principal.expires_at_ms <= self._clock.now_ms()
        if expired or (principal.key_id and not self._directory.key_is_live(principal.key_id)):
            raise Unauthenticated("BAD_CREDENTIAL", "the credential is no longer valid")

    async def QuerySessions(
        self, request: activity_pb2.QuerySessionsRequest, context: _Context
    ) -> activity_pb2.QuerySessionsResponse:
        return await self._insight(SESSIONS, request, context)

    async def QueryTrends(
        self, request: trends_pb2.QueryTrendsRequest, context: _Context
    ) -> trends_pb2.QueryTrendsResponse:
        return await self._insight(TRENDS, request, context)

    async def QueryLifecycle(
        self, request: activity_pb2.QueryLifecycleRequest, context: _Context
    ) -> activity_pb2.QueryLifecycleResponse:
        return await self._insight(LIFECYCLE, request, context)

    async def QueryRetention(
        self, request: retention_pb2.QueryRetentionRequest, context: _Context
    ) -> retention_pb2.QueryRetentionResponse:
        return await self._insight(RETENTION, request, context)

    async def QueryStickiness(
        self, request: activity_pb2.QueryStickinessRequest, context: _Context
    ) -> activity_pb2.QueryStickinessResponse:
        return await self._insight(STICKINESS, request, context)

    async def PreviewCohort(
        self, request: cohort_pb2.PreviewCohortRequest, context: _Context
    ) -> cohort_pb2.PreviewCohortResponse:
        return await self._insight(PREVIEW, request, context)

    async def ExplainInsight(
        self, request: explain_pb2.ExplainInsightRequest, context: _Context
    ) -> explain_pb2.ExplainInsightResponse:
        tenant_id = _tenant_of(current_principal())
        now_ms = self._clock.now_ms()
        asked = explain.read(request, now_ms)
        cohorts = await self._cohorts.known(tenant_id, asked.question, now_ms, "request.")

        async def answer(asker: Asker) -> Response:
            asker.cohorts = cohorts.conditions
            found: Response = await asked.insight.answer(asker, tenant_id, asked.question, now_ms)
            return found

        key = insight_key(asked.insight.name, asked.question, cohorts, asked.request, now_ms)
        return explain.response(asked, await self._answers.record(tenant_id, key, answer, self._timeout(context)))

    async def GetUserTimeline(
        self, request: timeline_pb2.GetUserTimelineRequest, context: _Context
    ) -> timeline_pb2.GetUserTimelineResponse:
        tenant_id = _tenant_of(current_principal())
        question = timeline_question(request, tenant_id, self._page_token_secret)
        async with self._askers.question(tenant_id, self._timeout(context)) as asker:
            page = await list_events(asker, self._pool, tenant_id, question, self._clock.now_ms())
        return timeline_response(page, request, tenant_id, self._page_token_secret)

    async def ListEventNames(
        self, request: schema_pb2.ListEventNamesRequest, context: _Context
    ) -> schema_pb2.ListEventNamesResponse:
        return await self._insight(EVENT_NAMES, request, context)

    async def ListPropertyNames(
        self, request: schema_pb2.ListPropertyNamesRequest, context: _Context
    ) -> schema_pb2.ListPropertyNamesResponse:
        return await self._insight(PROPERTY_NAMES, request, context)

    async def QueryFunnels(
        self, request: funnels_pb2.QueryFunnelsRequest, context: _Context
    ) -> funnels_pb2.QueryFunnelsResponse:
        return await self._insight(FUNNELS, request, context)

    async def QueryPaths(self, request: paths_pb2.QueryPathsRequest, context: _Context) -> paths_pb2.QueryPathsResponse:
        return await self._insight(PATHS, request, context)

    async def _insight(
        self, insight: Insight[_Request, _Question, _Response], request: _Request, context: _Context
    ) -> _Response:
        tenant_id = _tenant_of(current_principal())
        now_ms = self._clock.now_ms()
        question = insight.read(request, now_ms)
        cohorts = await self._cohorts.known(tenant_id, question, now_ms)
        key = insight_key(insight.name, question, cohorts, request, now_ms)

        async def answer(asker: Asker) -> _Response:
            asker.cohorts = cohorts.conditions
            return await insight.answer(asker, tenant_id, question, now_ms)

        return await self._answers.answer(insight.response_type, tenant_id, key, answer, self._timeout(context))

    def _timeout(self, context: _Context) -> float:
        remaining = context.time_remaining()
        if remaining is None:
            return self._query_timeout
        timeout = min(self._query_timeout, remaining - _MARGIN_SECONDS)
        if timeout <= 0:
            raise DeadlineExceeded("QUERY_TIMEOUT", "there is no time left to answer")
        return timeout


def _tenant_of(principal: Principal) -> str:
    principal.require_scope(_SCOPE)
    return principal.require_tenant()
