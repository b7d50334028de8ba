"""Query, as the gateway sees it."""

import asyncio
from typing import Any

from obc.query.v1 import live_pb2, query_service_pb2
from obc.query.v1 import query_service_pb2_grpc as query_grpc
from obc_common.context import current_principal
from obc_common.errors import DomainError
from tests.support.fake_services.recorder import Recorder, scripted

_UNARY = [
    method.name
    for method in query_service_pb2.DESCRIPTOR.services_by_name["QueryService"].methods
    if not method.server_streaming
]


class FakeQuery:
    """Query: unary methods by script; the live feed sends what the test puts into `updates`."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.failure: DomainError | None = None
        self.updates: asyncio.Queue[live_pb2.StreamLiveResponse | None] = asyncio.Queue()
        self.live_streams = 0

    def servicer(self) -> Any:
        fake = self
        base = type(scripted(query_grpc.QueryServiceServicer, self.recorder, _UNARY))

        class Servicer(base):  # type: ignore[misc,valid-type]  # made at run time
            async def StreamLive(self, request: Any, _context: Any) -> Any:
                fake.recorder.record("StreamLive", request)
                current_principal().require_scope("query")
                if fake.failure:
                    raise fake.failure
                fake.live_streams += 1
                try:
                    while (update := await fake.updates.get()) is not None:
                        yield update
                finally:
                    fake.live_streams -= 1

        return Servicer()
