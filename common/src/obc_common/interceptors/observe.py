"""Correlation id, access log and metrics."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from obc_common.context import correlation_id_var
from obc_common.interceptors.call import ServerCall
from obc_common.logs import get_logger
from obc_common.metrics import GRPC_CALLS, GRPC_IN_FLIGHT, GRPC_SECONDS, outcome
from obc_common.tracing import server_span

_log = get_logger("obc.access")


@asynccontextmanager
async def observe(call: ServerCall) -> AsyncIterator[None]:
    """Counts and logs a call. Successes are logged at debug level: the gateway has logged the request already."""
    correlation_id_var.set(call.correlation_id)
    kind = "stream" if call.streaming else "unary"
    GRPC_IN_FLIGHT.labels(kind).inc()
    started = time.perf_counter()
    try:
        with server_span(call.method, call.metadata.get("traceparent"), call.correlation_id):
            yield
    finally:
        seconds = time.perf_counter() - started
        GRPC_IN_FLIGHT.labels(kind).dec()
        whose = outcome(call.code)
        GRPC_CALLS.labels(call.method, call.code.name, whose).inc()
        GRPC_SECONDS.labels(call.method).observe(seconds)
        level = _log.warning if whose == "server" else _log.debug if call.code is grpc.StatusCode.OK else _log.info
        level("grpc_call", method=call.method, code=call.code.name, ms=round(seconds * 1000, 1))
