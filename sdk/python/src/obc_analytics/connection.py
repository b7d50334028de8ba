"""How the server is reached over gRPC."""

from dataclasses import dataclass

import grpc

from obc_analytics.errors import BrokenAnswer, CredentialRefused, DeliveryProblem, ServerBusy, Unreachable

STREAM_METHOD = "/obc.ingest.v1.IngestService/IngestStream"
BATCH_METHOD = "/obc.ingest.v1.IngestService/IngestBatch"

_OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The backoff is the courier's; the channel's own would only add to it.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Without it a slow server lets 4 MiB pile up in the connection instead of 62 KiB.
    ("grpc.http2.bdp_probe", 0),
    # Channels of one process with equal options share connections, also across a fork; never here.
    ("grpc.use_local_subchannel_pool", 1),
]
_REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A gRPC server and the key for it.

    Attributes:
        address: `host:port`, or any gRPC target, e.g. `dns:///ingest-headless:50051`.
        tls: encrypt; off for a server in the same cluster.
        root_certificates: PEM of the authority to trust with `tls`; None = the system's.
    """

    address: str
    key: str
    tls: bool
    root_certificates: bytes | None

    def open(self) -> grpc.Channel:
        """A new channel with a connection of its own."""
        if self.tls:
            credentials = grpc.ssl_channel_credentials(self.root_certificates)
            return grpc.secure_channel(self.address, credentials, options=_OPTIONS)
        return grpc.insecure_channel(self.address, options=_OPTIONS)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries."""
        return (("authorization", f"Bearer {self.key}"),)

    def __repr__(self) -> str:
        return f"Endpoint({self.address})"  # never the key


def problem_of(error: grpc.RpcError | None) -> DeliveryProblem:
    """What a call's end means; None = it ended in order before it should have."""
    if not isinstance(error, grpc.Call):
        return Unreachable("", "the server ended the stream")
    code, details = error.code(), error.details() or ""
    if code in _REFUSED:
        return CredentialRefused(code.name, details)
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
        return ServerBusy(code.name, details)
    if code in _GONE:
        return Unreachable(code.name, details)
    return BrokenAnswer(code.name, details)
