"""One subscription to the live feed, as pairs of (kind, JSON object)."""

import asyncio
from typing import Any

import grpc

from obc.query.v1 import live_pb2
from obc_common.clients import QueryClient
from obc_common.context import Principal
from obc_common.errors import DeadlineExceeded, from_rpc_error
from obc_gateway.transcoding.encoding import to_json

Update = tuple[str, dict[str, Any]]


class LiveFeed:
    """Wraps the gRPC stream. Close it.

    Args:
        client: query.
        principal: whose feed.
        request: what is wanted.
    """

    def __init__(self, client: QueryClient, principal: Principal, request: live_pb2.StreamLiveRequest) -> None:
        self._call = client.stream_live(request, principal=principal)

    async def first(self, timeout: float) -> Update | None:
        """The first update, within `timeout` seconds: what is wrong with the request shows here."""
        try:
            async with asyncio.timeout(timeout):
                return await self.next()
        except TimeoutError:
            raise DeadlineExceeded("LIVE_FEED_SILENT", "the live feed did not start in time") from None

    async def next(self) -> Update | None:
        """The next update; None at the end of the feed. Raises DomainError."""
        while True:
            try:
                message = await self._call.read()
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from None
            if not isinstance(message, live_pb2.StreamLiveResponse):
                return None
            match message.WhichOneof("message"):
                case "snapshot":
                    return "snapshot", to_json(message.snapshot)
                case "events":
                    return "events", to_json(message.events)
                case _:
                    continue  # a kind that a newer service has

    def close(self) -> None:
        """Ends the subscription."""
        self._call.cancel()
