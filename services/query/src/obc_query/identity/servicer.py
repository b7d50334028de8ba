"""IdentityService on the wire: messages to decisions and back, and the rights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from obc.query.v1 import identity_pb2
from obc.query.v1 import identity_service_pb2 as pb
from obc.query.v1 import identity_service_pb2_grpc as pb_grpc
from obc_common.errors import NotFound
from obc_query.asker import AskerFactory
from obc_query.identity.decisions import LinkDecisions
from obc_query.identity.device import Device, find_device
from obc_query.identity.reading import read_device, read_verdict
from obc_query.identity.store import Decision
from obc_query.saved.caller import caller
from obc_query.saved.pages import Pager

_Context = grpc.aio.ServicerContext[Any, Any]
_DECIDING_SCOPE = "config"


@dataclass(frozen=True, slots=True)
class IdentityServicer(pb_grpc.IdentityServiceServicer):
    """obc.query.v1.IdentityService. What each method does and answers is in the proto.

    Attributes:
        askers: access to the read model.
        decisions: what was decided.
        page_token_secret: signs page tokens.
        query_timeout: seconds that a look into the read model may take.
    """

    askers: AskerFactory
    decisions: LinkDecisions
    page_token_secret: str
    query_timeout: float

    async def GetDeviceLink(self, request: pb.GetDeviceLinkRequest, context: _Context) -> pb.GetDeviceLinkResponse:
        tenant_id, _ = caller()
        anonymous_id = read_device(request.anonymous_id)
        device = await self._device(tenant_id, anonymous_id)
        decisions = await self.decisions.of_device(tenant_id, anonymous_id)
        return pb.GetDeviceLinkResponse(link=_link(anonymous_id, device, decisions))

    async def CreateLinkDecision(
        self, request: pb.CreateLinkDecisionRequest, context: _Context
    ) -> pb.CreateLinkDecisionResponse:
        tenant_id, actor = caller(_DECIDING_SCOPE)
        anonymous_id, verdict = read_device(request.anonymous_id), read_verdict(request.decision)
        # What has no event has no link; so nothing is kept about devices that never were.
        device = await self._device(tenant_id, anonymous_id)
        decisions = await self.decisions.decide(tenant_id, anonymous_id, verdict, actor)
        return pb.CreateLinkDecisionResponse(link=_link(anonymous_id, device, decisions))

    async def ListUnlinkedDevices(
        self, request: pb.ListUnlinkedDevicesRequest, context: _Context
    ) -> pb.ListUnlinkedDevicesResponse:
        tenant_id, _ = caller()
        pager = Pager(self.page_token_secret, ["ListUnlinkedDevices", tenant_id], request.page_size, request.page_token)
        after = "" if pager.position is None else str(pager.position[0])
        found = await self.decisions.list_unlinked(tenant_id, after, pager.limit)
        page, token = pager.page(found, lambda decision: [decision.anonymous_id])
        devices = [
            identity_pb2.UnlinkedDevice(
                anonymous_id=decision.anonymous_id, decided_at_ms=decision.at_ms, decided_by=decision.by
            )
            for decision in page
        ]
        return pb.ListUnlinkedDevicesResponse(devices=devices, next_page_token=token)

    async def _device(self, tenant_id: str, anonymous_id: str) -> Device:
        async with self.askers.question(tenant_id, self.query_timeout) as asker:
            device = await find_device(asker, tenant_id, anonymous_id)
        if device is None:
            raise NotFound("DEVICE_NOT_FOUND", "there is no event of this device", field="anonymous_id")
        return device


def _link(anonymous_id: str, device: Device, decisions: Sequence[Decision]) -> identity_pb2.DeviceLink:
    unlinked = bool(decisions) and decisions[0].verdict == "unlink"
    edge = device.edge
    return identity_pb2.DeviceLink(
        anonymous_id=anonymous_id,
        person=anonymous_id if edge is None or unlinked else edge.user_id,
        unlinked=unlinked,
        user_id=edge.user_id if edge else "",
        event_id=str(edge.event_id) if edge else "",
        event_time_ms=edge.at_ms if edge else 0,
        decisions=[
            identity_pb2.LinkDecision(decision=one.verdict, decided_at_ms=one.at_ms, decided_by=one.by)
            for one in decisions
        ],
    )
