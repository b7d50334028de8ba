"""The methods of SavedService about cohorts."""

from dataclasses import dataclass
from typing import Any

import grpc

from obc.query.v1 import saved_service_pb2 as pb
from obc.query.v1 import saved_service_pb2_grpc as pb_grpc
from obc_common.clock import Clock
from obc_query.saved.caller import caller
from obc_query.saved.codec import cohort_message
from obc_query.saved.pages import ListPager, versions_page
from obc_query.saved.reading import cohort_content
from obc_query.saved.shelf import Shelf

_Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class CohortMethods(pb_grpc.SavedServiceServicer):
    """What each method does and answers is in the proto.

    Attributes:
        cohorts: the cohorts.
        clock: time.
        page_token_secret: signs page tokens.
    """

    cohorts: Shelf
    clock: Clock
    page_token_secret: str

    async def CreateCohort(self, request: pb.CreateCohortRequest, context: _Context) -> pb.CreateCohortResponse:
        tenant_id, actor = caller()
        content = cohort_content(request.name, request.description, request.definition)
        return pb.CreateCohortResponse(cohort=cohort_message(await self.cohorts.create(tenant_id, content, actor)))

    async def ListCohorts(self, request: pb.ListCohortsRequest, context: _Context) -> pb.ListCohortsResponse:
        tenant_id, _ = caller()
        pager = ListPager(
            self.page_token_secret,
            "ListCohorts",
            tenant_id,
            state=request.state,
            order=request.order,
            kind="",
            size=request.page_size,
            token=request.page_token,
        )
        cohorts, token = pager.page(await self.cohorts.list_page(tenant_id, pager.question))
        return pb.ListCohortsResponse(
            cohorts=[cohort_message(cohort, listed=True) for cohort in cohorts], next_page_token=token
        )

    async def GetCohort(self, request: pb.GetCohortRequest, context: _Context) -> pb.GetCohortResponse:
        tenant_id, _ = caller()
        cohort, _ = await self.cohorts.get(tenant_id, request.cohort_id, request.version)
        return pb.GetCohortResponse(cohort=cohort_message(cohort))

    async def UpdateCohort(self, request: pb.UpdateCohortRequest, context: _Context) -> pb.UpdateCohortResponse:
        tenant_id, actor = caller()
        content = cohort_content(request.name, request.description, request.definition)
        cohort = await self.cohorts.update(tenant_id, request.cohort_id, request.expected_version, content, actor)
        return pb.UpdateCohortResponse(cohort=cohort_message(cohort))

    async def DeleteCohort(self, request: pb.DeleteCohortRequest, context: _Context) -> pb.DeleteCohortResponse:
        tenant_id, actor = caller()
        cohort = await self.cohorts.delete(tenant_id, request.cohort_id, request.expected_version, actor)
        return pb.DeleteCohortResponse(cohort=cohort_message(cohort))

    async def RestoreCohort(self, request: pb.RestoreCohortRequest, context: _Context) -> pb.RestoreCohortResponse:
        tenant_id, _ = caller()
        return pb.RestoreCohortResponse(cohort=cohort_message(await self.cohorts.restore(tenant_id, request.cohort_id)))

    async def ListCohortVersions(
        self, request: pb.ListCohortVersionsRequest, context: _Context
    ) -> pb.ListCohortVersionsResponse:
        tenant_id, _ = caller()
        versions, token = await versions_page(
            self.cohorts,
            "ListCohortVersions",
            tenant_id,
            request.cohort_id,
            secret=self.page_token_secret,
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListCohortVersionsResponse(
            versions=[cohort_message(version, listed=True) for version in versions], next_page_token=token
        )
