"""Optional OpenTelemetry tracing: one server span per call, sent to a collector when one is set.

The SDK is an extra; without an endpoint nothing is imported and nothing is spent.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_tracer: Any = None


def configure_tracing(service: str, endpoint: str) -> None:
    """Starts exporting spans to `endpoint` (OTLP over gRPC). Raises ImportError without the `tracing` extra."""
    if not endpoint:
        return
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    global _tracer
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=True)))
    trace.set_tracer_provider(provider)
    _tracer = trace.get_tracer("obc")


@contextmanager
def server_span(method: str, traceparent: str | bytes | None, correlation_id: str) -> Iterator[None]:
    """A span around one served call, a child of the W3C `traceparent` when the caller sent one."""
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": traceparent} if isinstance(traceparent, str) else {}
    parent = TraceContextTextMapPropagator().extract(carrier)
    with _tracer.start_as_current_span(
        method.lstrip("/"), context=parent, kind=SpanKind.SERVER, attributes={"obc.correlation_id": correlation_id}
    ):
        yield


def traceparent() -> str | None:
    """The W3C traceparent of the current span, to be sent along with an outgoing call."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")
