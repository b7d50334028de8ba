"""Typed clients of the suite's services: a deadline on every call, the caller's identity with it, one kind of error."""

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import Message

from obc.ingest.v1 import ingest_service_pb2 as ingest_pb
from obc.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from obc.query.v1 import dashboard_pb2, live_pb2, metrics_pb2, stored_event_pb2
from obc.query.v1 import identity_service_pb2_grpc as identity_grpc
from obc.query.v1 import query_service_pb2_grpc as query_grpc
from obc.query.v1 import saved_service_pb2_grpc as saved_grpc
from obc.tenant_config.v1 import tenant_config_service_pb2 as tenant_pb
from obc.tenant_config.v1 import tenant_config_service_pb2_grpc as tenant_grpc
from obc_common.channels import open_channel
from obc_common.context import Principal, RequestInfo, current_correlation_id
from obc_common.errors import from_rpc_error
from obc_common.identity import CORRELATION_HEADER, IDENTITY_HEADER, IdentityMinter, request_info_metadata
from obc_common.tracing import traceparent

Metadata = list[tuple[str, str | bytes]]


class ServiceClient:
    """What all clients share: two channels (unary, streams), metadata and errors.

    Args:
        address: gRPC target of the service.
        identity: signs who each call is made for.
    """

    service: str

    def __init__(self, address: str, identity: IdentityMinter) -> None:
        self._identity = identity
        self._unary = open_channel(address, streaming=False)
        self._streams = open_channel(address, streaming=True)

    async def close(self) -> None:
        """Closes the channels; calls under way are cancelled."""
        await self._unary.close()
        await self._streams.close()

    def _metadata(self, principal: Principal, info: RequestInfo | None) -> Metadata:
        metadata: Metadata = [(IDENTITY_HEADER, self._identity.mint(principal, self.service))]
        correlation_id = current_correlation_id()
        if correlation_id:
            metadata.append((CORRELATION_HEADER, correlation_id))
        parent = traceparent()
        if parent is not None:
            metadata.append(("traceparent", parent))
        if info is not None:
            metadata.extend(request_info_metadata(info))
        return metadata

    async def _call(
        self,
        method: Callable[..., Any],
        request: Message,
        principal: Principal,
        timeout: float,
        info: RequestInfo | None,
    ) -> Any:
        try:
            return await method(request, timeout=timeout, metadata=self._metadata(principal, info))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None

    async def call(
        self,
        method: str,
        request: Message,
        *,
        principal: Principal,
        timeout: float,
        info: RequestInfo | None = None,
    ) -> Message:
        """Calls a unary method by name, for callers that know it only from its descriptor (the gateway).

        Raises:
            DomainError: what the service said, or what became of the transport.
        """
        response: Message = await self._call(getattr(self._stub(), method), request, principal, timeout, info)
        return response

    def _stub(self) -> object:
        raise NotImplementedError


class IngestClient(ServiceClient):
    """Client of obc.ingest.v1.IngestService."""

    service = "obc.ingest.v1.IngestService"

    def __init__(self, address: str, identity: IdentityMinter) -> None:
        super().__init__(address, identity)
        self._service: ingest_grpc.IngestServiceAsyncStub = ingest_grpc.IngestServiceStub(self._unary)
        self._stream_service: ingest_grpc.IngestServiceAsyncStub = ingest_grpc.IngestServiceStub(self._streams)

    def _stub(self) -> object:
        return self._service

    async def ingest_batch(
        self,
        request: ingest_pb.IngestBatchRequest,
        *,
        principal: Principal,
        timeout: float,
        info: RequestInfo | None = None,
    ) -> ingest_pb.IngestBatchResponse:
        """Stores one batch; see the proto."""
        response: ingest_pb.IngestBatchResponse = await self._call(
            self._service.IngestBatch, request, principal, timeout, info
        )
        return response

    def stream(
        self, *, principal: Principal, info: RequestInfo | None = None
    ) -> grpc.aio.StreamStreamCall[ingest_pb.IngestStreamRequest, ingest_pb.IngestStreamResponse]:
        """Opens a stream. The caller ends it (`done_writing`, `cancel`) and turns AioRpcError into a DomainError.

        A stream lives as long as its socket, so it has no deadline; the server ends it at its maximum age.
        """
        return self._stream_service.IngestStream(metadata=self._metadata(principal, info))

    def import_events(
        self, *, principal: Principal, info: RequestInfo | None = None
    ) -> grpc.aio.StreamStreamCall[ingest_pb.ImportEventsRequest, ingest_pb.ImportEventsResponse]:
        """Opens an import. The caller ends it and turns AioRpcError into a DomainError; it may last for hours."""
        return self._stream_service.ImportEvents(metadata=self._metadata(principal, info))


class QueryClient(ServiceClient):
    """Client of obc.query.v1.QueryService."""

    service = "obc.query.v1.QueryService"

    def __init__(self, address: str, identity: IdentityMinter) -> None:
        super().__init__(address, identity)
        self._service: query_grpc.QueryServiceAsyncStub = query_grpc.QueryServiceStub(self._unary)
        self._stream_service: query_grpc.QueryServiceAsyncStub = query_grpc.QueryServiceStub(self._streams)

    def _stub(self) -> object:
        return self._service

    async def list_events(
        self, request: stored_event_pb2.ListEventsRequest, *, principal: Principal, timeout: float
    ) -> stored_event_pb2.ListEventsResponse:
        """Lists events, newest first."""
        response: stored_event_pb2.ListEventsResponse = await self._call(
            self._service.ListEvents, request, principal, timeout, None
        )
        return response

    async def get_metrics(
        self, request: metrics_pb2.GetMetricsRequest, *, principal: Principal, timeout: float
    ) -> metrics_pb2.GetMetricsResponse:
        """Answers named metrics."""
        response: metrics_pb2.GetMetricsResponse = await self._call(
            self._service.GetMetrics, request, principal, timeout, None
        )
        return response

    async def get_dashboard(
        self, request: dashboard_pb2.GetDashboardRequest, *, principal: Principal, timeout: float
    ) -> dashboard_pb2.GetDashboardResponse:
        """Answers the standing dashboard."""
        response: dashboard_pb2.GetDashboardResponse = await self._call(
            self._service.GetDashboard, request, principal, timeout, None
        )
        return response

    def stream_live(
        self, request: live_pb2.StreamLiveRequest, *, principal: Principal
    ) -> grpc.aio.UnaryStreamCall[live_pb2.StreamLiveRequest, live_pb2.StreamLiveResponse]:
        """Opens the live feed; the caller cancels it. A feed has no deadline."""
        return self._stream_service.StreamLive(request, metadata=self._metadata(principal, None))


class SavedClient(ServiceClient):
    """Client of obc.query.v1.SavedService, which the Query process serves beside its questions."""

    service = "obc.query.v1.SavedService"

    def __init__(self, address: str, identity: IdentityMinter) -> None:
        super().__init__(address, identity)
        self._service: saved_grpc.SavedServiceAsyncStub = saved_grpc.SavedServiceStub(self._unary)

    def _stub(self) -> object:
        return self._service


class IdentityClient(ServiceClient):
    """Client of obc.query.v1.IdentityService, which the Query process serves beside its questions."""

    service = "obc.query.v1.IdentityService"

    def __init__(self, address: str, identity: IdentityMinter) -> None:
        super().__init__(address, identity)
        self._service: identity_grpc.IdentityServiceAsyncStub = identity_grpc.IdentityServiceStub(self._unary)

    def _stub(self) -> object:
        return self._service


class TenantConfigClient(ServiceClient):
    """Client of obc.tenant_config.v1.TenantConfigService."""

    service = "obc.tenant_config.v1.TenantConfigService"

    def __init__(self, address: str, identity: IdentityMinter) -> None:
        super().__init__(address, identity)
        self._service: tenant_grpc.TenantConfigServiceAsyncStub = tenant_grpc.TenantConfigServiceStub(self._unary)
        self._stream_service: tenant_grpc.TenantConfigServiceAsyncStub = tenant_grpc.TenantConfigServiceStub(
            self._streams
        )

    def _stub(self) -> object:
        return self._service

    def watch(
        self, request: tenant_pb.WatchConfigsRequest, *, principal: Principal
    ) -> grpc.aio.UnaryStreamCall[tenant_pb.WatchConfigsRequest, tenant_pb.WatchConfigsResponse]:
        """Opens the stream of configurations; the caller cancels it and notices a silent stream by its heartbeats."""
        return self._stream_service.WatchConfigs(request, metadata=self._metadata(principal, None))

    async def resolve_key(
        self, request: tenant_pb.ResolveKeyRequest, *, principal: Principal, timeout: float
    ) -> tenant_pb.ResolveKeyResponse:
        """Looks one key up by hash."""
        response: tenant_pb.ResolveKeyResponse = await self._call(
            self._service.ResolveKey, request, principal, timeout, None
        )
        return response

    async def report_key_use(
        self, request: tenant_pb.ReportKeyUseRequest, *, principal: Principal, timeout: float
    ) -> tenant_pb.ReportKeyUseResponse:
        """Tells which keys were used."""
        response: tenant_pb.ReportKeyUseResponse = await self._call(
            self._service.ReportKeyUse, request, principal, timeout, None
        )
        return response
