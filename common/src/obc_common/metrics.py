"""Metrics that every gRPC server has. Labels are bounded: never a tenant, a key or an address.

A service's own metrics live in its `metrics.py`, named `obc_<service>_...`.
"""

import grpc
from prometheus_client import Counter, Gauge, Histogram

GRPC_CALLS = Counter(
    "obc_grpc_calls_total",
    "Calls answered, by method, gRPC code and whose doing a failure was (client, quota, server).",
    ["method", "code", "outcome"],
)
GRPC_SECONDS = Histogram(
    "obc_grpc_call_seconds",
    "Time from accepting a unary call to its answer, or the life of a stream.",
    ["method"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 300),
)
GRPC_IN_FLIGHT = Gauge("obc_grpc_calls_in_flight", "Calls and streams under way.", ["kind"])

_QUOTA = {grpc.StatusCode.RESOURCE_EXHAUSTED}
_SERVER = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.DATA_LOSS,
}


def outcome(code: grpc.StatusCode) -> str:
    """Whose doing it was, so that clients' mistakes never page anyone: `ok`, `quota`, `server` or `client`."""
    if code is grpc.StatusCode.OK:
        return "ok"
    if code in _QUOTA:
        return "quota"
    return "server" if code in _SERVER else "client"
