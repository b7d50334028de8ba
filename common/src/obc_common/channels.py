"""gRPC channels with the options this suite has measured to be right (docs/adr/0003)."""

import json

import grpc

_RETRIES = {
    # Only what is safe to repeat: ingest is idempotent by event_id, questions change nothing. Writes to TenantConfig,
    # SavedService and IdentityService are never repeated by the transport.
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                {"service": "obc.ingest.v1.IngestService", "method": "IngestBatch"},
                {"service": "obc.query.v1.QueryService"},
                {"service": "obc.tenant_config.v1.TenantConfigService", "method": "ResolveKey"},
            ],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    # A server that is down is not made worse by its clients.
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}


def open_channel(address: str, *, streaming: bool) -> grpc.aio.Channel:
    """Opens a channel; keep it for the life of the process.

    Args:
        address: gRPC target; `dns:///name:port` of a headless Service reaches every replica.
        streaming: a channel of its own for streams, so that a slow stream does not hold up unary calls.
    """
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", json.dumps(_RETRIES)),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # After an outage try again soon; the default grows to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.max_receive_message_length", 16 * 1024 * 1024),
        ("grpc.max_send_message_length", 16 * 1024 * 1024),
        # Channels with equal options share a connection; this tells the two kinds apart.
        ("obc.purpose", "stream" if streaming else "unary"),
    ]
    if streaming:
        # Without it a slow reader lets 4 MiB a stream pile up instead of 62 KiB.
        options.append(("grpc.http2.bdp_probe", 0))
    return grpc.aio.insecure_channel(address, options=options)
