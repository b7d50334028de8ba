"""Admission: a bound on calls under way, apart for unary calls and streams.

gRPC's own `maximum_concurrent_rpcs` would refuse health checks too and count long-lived streams with short calls.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from obc_common.errors import Unavailable
from obc_common.interceptors.call import ServerCall


class Admission:
    """Counts the calls under way and refuses those over the bound."""

    def __init__(self, max_calls: int, max_streams: int) -> None:
        self._limits = {False: max_calls, True: max_streams}
        self._under_way = {False: 0, True: 0}

    @asynccontextmanager
    async def admit(self, call: ServerCall) -> AsyncIterator[None]:
        """Raises Unavailable(OVERLOADED) when the bound is reached."""
        if self._under_way[call.streaming] >= self._limits[call.streaming]:
            raise Unavailable("OVERLOADED", "this process is busy; try again", retry_after=1.0)
        self._under_way[call.streaming] += 1
        try:
            yield
        finally:
            self._under_way[call.streaming] -= 1
