"""SavedService on the wire: messages to contents and back, and the rights."""

from dataclasses import dataclass
from typing import Any

import grpc

from obc.query.v1 import saved_service_pb2 as pb
from obc_query.saved.caller import caller
from obc_query.saved.codec import dashboard_message, insight_message
from obc_query.saved.cohorts_servicer import CohortMethods
from obc_query.saved.model import Content
from obc_query.saved.pages import ListPager, versions_page
from obc_query.saved.reading import check_kind, dashboard_content, insight_content
from obc_query.saved.shelf import Shelf

_Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class SavedServicer(CohortMethods):
    """obc.query.v1.SavedService. What each method does and answers is in the proto.

    Attributes:
        insights: the saved insights.
        dashboards: the saved dashboards.
    """

    insights: Shelf
    dashboards: Shelf

    async def CreateSavedInsight(
        self, request: pb.CreateSavedInsightRequest, context: _Context
    ) -> pb.CreateSavedInsightResponse:
        tenant_id, actor = caller()
        insight = await self.insights.create(tenant_id, self._insight_content(request), actor)
        return pb.CreateSavedInsightResponse(insight=insight_message(insight))

    async def ListSavedInsights(
        self, request: pb.ListSavedInsightsRequest, context: _Context
    ) -> pb.ListSavedInsightsResponse:
        tenant_id, _ = caller()
        pager = ListPager(
            self.page_token_secret,
            "ListSavedInsights",
            tenant_id,
            state=request.state,
            order=request.order,
            kind=check_kind(request.kind),
            size=request.page_size,
            token=request.page_token,
        )
        insights, token = pager.page(await self.insights.list_page(tenant_id, pager.question))
        return pb.ListSavedInsightsResponse(
            insights=[insight_message(insight) for insight in insights], next_page_token=token
        )

    async def GetSavedInsight(
        self, request: pb.GetSavedInsightRequest, context: _Context
    ) -> pb.GetSavedInsightResponse:
        tenant_id, _ = caller()
        insight, _ = await self.insights.get(tenant_id, request.insight_id, request.version)
        return pb.GetSavedInsightResponse(insight=insight_message(insight))

    async def UpdateSavedInsight(
        self, request: pb.UpdateSavedInsightRequest, context: _Context
    ) -> pb.UpdateSavedInsightResponse:
        tenant_id, actor = caller()
        insight = await self.insights.update(
            tenant_id, request.insight_id, request.expected_version, self._insight_content(request), actor
        )
        return pb.UpdateSavedInsightResponse(insight=insight_message(insight))

    async def DeleteSavedInsight(
        self, request: pb.DeleteSavedInsightRequest, context: _Context
    ) -> pb.DeleteSavedInsightResponse:
        tenant_id, actor = caller()
        insight = await self.insights.delete(tenant_id, request.insight_id, request.expected_version, actor)
        return pb.DeleteSavedInsightResponse(insight=insight_message(insight))

    async def RestoreSavedInsight(
        self, request: pb.RestoreSavedInsightRequest, context: _Context
    ) -> pb.RestoreSavedInsightResponse:
        tenant_id, _ = caller()
        insight = await self.insights.restore(tenant_id, request.insight_id)
        return pb.RestoreSavedInsightResponse(insight=insight_message(insight))

    async def ListSavedInsightVersions(
        self, request: pb.ListSavedInsightVersionsRequest, context: _Context
    ) -> pb.ListSavedInsightVersionsResponse:
        tenant_id, _ = caller()
        versions, token = await versions_page(
            self.insights,
            "ListSavedInsightVersions",
            tenant_id,
            request.insight_id,
            secret=self.page_token_secret,
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListSavedInsightVersionsResponse(
            versions=[insight_message(version) for version in versions], next_page_token=token
        )

    def _insight_content(self, request: pb.CreateSavedInsightRequest | pb.UpdateSavedInsightRequest) -> Content:
        return insight_content(
            request.name, request.description, request.kind, request.request_json, self.clock.now_ms()
        )

    async def CreateSavedDashboard(
        self, request: pb.CreateSavedDashboardRequest, context: _Context
    ) -> pb.CreateSavedDashboardResponse:
        tenant_id, actor = caller()
        dashboard = await self.dashboards.create(tenant_id, self._dashboard_content(request), actor)
        return pb.CreateSavedDashboardResponse(dashboard=dashboard_message(dashboard))

    async def ListSavedDashboards(
        self, request: pb.ListSavedDashboardsRequest, context: _Context
    ) -> pb.ListSavedDashboardsResponse:
        tenant_id, _ = caller()
        pager = ListPager(
            self.page_token_secret,
            "ListSavedDashboards",
            tenant_id,
            state=request.state,
            order=request.order,
            kind="",
            size=request.page_size,
            token=request.page_token,
        )
        dashboards, token = pager.page(await self.dashboards.list_page(tenant_id, pager.question))
        return pb.ListSavedDashboardsResponse(
            dashboards=[dashboard_message(dashboard) for dashboard in dashboards], next_page_token=token
        )

    async def GetSavedDashboard(
        self, request: pb.GetSavedDashboardRequest, context: _Context
    ) -> pb.GetSavedDashboardResponse:
        tenant_id, _ = caller()
        dashboard, insights = await self.dashboards.get(tenant_id, request.dashboard_id, request.version)
        return pb.GetSavedDashboardResponse(
            dashboard=dashboard_message(dashboard), insights=[insight_message(insight) for insight in insights]
        )

    async def UpdateSavedDashboard(
        self, request: pb.UpdateSavedDashboardRequest, context: _Context
    ) -> pb.UpdateSavedDashboardResponse:
        tenant_id, actor = caller()
        dashboard = await self.dashboards.update(
            tenant_id, request.dashboard_id, request.expected_version, self._dashboard_content(request), actor
        )
        return pb.UpdateSavedDashboardResponse(dashboard=dashboard_message(dashboard))

    async def DeleteSavedDashboard(
        self, request: pb.DeleteSavedDashboardRequest, context: _Context
    ) -> pb.DeleteSavedDashboardResponse:
        tenant_id, actor = caller()
        dashboard = await self.dashboards.delete(tenant_id, request.dashboard_id, request.expected_version, actor)
        return pb.DeleteSavedDashboardResponse(dashboard=dashboard_message(dashboard))

    async def RestoreSavedDashboard(
        self, request: pb.RestoreSavedDashboardRequest, context: _Context
    ) -> pb.RestoreSavedDashboardResponse:
        tenant_id, _ = caller()
        dashboard = await self.dashboards.restore(tenant_id, request.dashboard_id)
        return pb.RestoreSavedDashboardResponse(dashboard=dashboard_message(dashboard))

    async def ListSavedDashboardVersions(
        self, request: pb.ListSavedDashboardVersionsRequest, context: _Context
    ) -> pb.ListSavedDashboardVersionsResponse:
        tenant_id, _ = caller()
        versions, token = await versions_page(
            self.dashboards,
            "ListSavedDashboardVersions",
            tenant_id,
            request.dashboard_id,
            secret=self.page_token_secret,
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListSavedDashboardVersionsResponse(
            versions=[dashboard_message(version) for version in versions], next_page_token=token
        )

    def _dashboard_content(self, request: pb.CreateSavedDashboardRequest | pb.UpdateSavedDashboardRequest) -> Content:
        return dashboard_content(
            request.name,
            request.description,
            request.tiles,
            request.time_range if request.HasField("time_range") else None,
            self.clock.now_ms(),
        )
