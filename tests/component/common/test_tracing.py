"""Tracing, with a collector that speaks OTLP: in a process of its own, for the SDK's provider is global."""

import subprocess
import sys
from concurrent import futures
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc

_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

_TRACED = f"""
import sys
from obc_common.tracing import configure_tracing, server_span, traceparent
configure_tracing("probe", sys.argv[1])
with server_span("/obc.query.v1.QueryService/GetMetrics", "{_PARENT}", "corr-7"):
    print(traceparent())
"""


class Collector(otlp_grpc.TraceServiceServicer):
    """Keeps the spans it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def Export(self, request: Any, context: Any) -> Any:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return otlp.ExportTraceServiceResponse()


def traced(endpoint: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _TRACED, endpoint], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_a_served_call_is_a_span_below_the_callers() -> None:
    # given a collector
    collector = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    add_to_server: Any = otlp_grpc.add_TraceServiceServicer_to_server  # generated without types
    add_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        # when a process with tracing serves a call that has a traceparent, and ends
        passed_on = traced(f"http://127.0.0.1:{port}")
    finally:
        server.stop(0).wait(5)
    # then the collector has its span, and calls made meanwhile belong to it
    [span] = collector.spans
    _, trace_id, parent_id, _ = _PARENT.split("-")
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (trace_id, parent_id)
    assert span.name == "obc.query.v1.QueryService/GetMetrics"
    assert {item.key: item.value.string_value for item in span.attributes} == {"obc.correlation_id": "corr-7"}
    assert passed_on == f"00-{trace_id}-{span.span_id.hex()}-01"


def test_without_an_endpoint_nothing_is_traced() -> None:
    assert traced("") == "None"
