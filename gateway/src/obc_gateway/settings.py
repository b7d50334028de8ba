"""Settings of the gateway."""

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from obc_common.settings import Port, RedisSettings, ServiceSettings, TenantDirectorySettings

_MIB = 1024 * 1024


class Settings(ServiceSettings, RedisSettings, TenantDirectorySettings):
    """What the gateway can be told. Times are seconds, sizes are bytes."""

    port: Port = Field(
        8000,
        alias="ANALYTICS_GATEWAY_PORT",
        description="Port of the public REST and WebSocket API; 0 = any free port.",
    )
    admin_port: Port | None = Field(
        9100,
        alias="ANALYTICS_GATEWAY_ADMIN_PORT",
        description="Port of metrics and probes; empty = none.",
    )
    ingest_address: str = Field("127.0.0.1:50051", description="gRPC target of the ingest service.")
    query_address: str = Field("127.0.0.1:50052", description="gRPC target of the query service.")
    worker_address: str = Field(
        "", description="gRPC target of the worker, for its health, e.g. 127.0.0.1:50054; empty = none is deployed."
    )

    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins (comma-separated) whose pages may call the API; when set, ingest takes only these too.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Networks (comma-separated CIDRs) whose X-Forwarded-For is believed."
    )
    extra_prefix: str = Field(
        "",
        pattern=r"^((/[A-Za-z0-9._-]+)+)?$",
        description="Another prefix for what is under /api/analytics, e.g. /c: ad-blockers list `analytics`.",
    )
    static_folder: Path | None = Field(
        None, description="Folder served under /static/ (SDKs, dashboard); empty = none."
    )
    demo_folder: Path | None = Field(
        None,
        description="For development: the repository's `sdk` folder, whose demo shop is served at /demo; empty = none.",
    )
    demo_key_file: Path | None = Field(
        None, description="For development: file with the write key that the demo shop sends with; empty = none."
    )

    max_connections: int = Field(10_000, ge=1, description="Open client connections; more are closed at once.")
    max_sockets: int = Field(5_000, ge=1, description="Open WebSockets and event streams; more get 503.")
    max_body_bytes_in_flight: int = Field(64 * _MIB, ge=_MIB, description="Request bodies held at once; more get 503.")
    tenant_batches_at_once: int = Field(
        16, ge=1, description="REST batches of one tenant that are passed on at once; a quarter while others send too."
    )
    tenant_batches_in_flight: int = Field(
        128, ge=1, description="REST batches of one tenant, those that wait included; more get 429."
    )
    keepalive_seconds: float = Field(75.0, gt=0, description="How long an idle connection is kept.")
    header_seconds: float = Field(10.0, gt=0, description="Deadline for a request's headers.")
    body_seconds: float = Field(10.0, gt=0, description="Deadline for a request's body.")
    batch_body_bytes: int = Field(4 * _MIB, ge=1, description="Largest batch, inflated.")
    control_body_bytes: int = Field(_MIB, ge=1, description="Largest body of any other request, inflated.")
    ingest_deadline_seconds: float = Field(15.0, gt=0, description="Deadline of a batch, without its upload.")
    import_idle_seconds: float = Field(
        10.0, gt=0, description="An import whose next bytes do not come within this time is ended (to be resumed)."
    )
    query_deadline_seconds: float = Field(30.0, gt=0, description="Deadline of a question.")
    control_deadline_seconds: float = Field(10.0, gt=0, description="Deadline of a call to TenantConfig.")

    api_rate_per_second: float = Field(50.0, gt=0, description="Requests per second of one key, ingest excepted.")
    api_burst: int = Field(100, ge=1, description="Requests of one key at once, ingest excepted.")
    auth_failures_per_second: float = Field(1.0, gt=0, description="Failed authentications per second of one client.")
    auth_failure_burst: int = Field(60, ge=1, description="Failed authentications of one client before it gets 429.")

    socket_auth_seconds: float = Field(5.0, gt=0, description="Deadline for the first frame of a WebSocket.")
    socket_frame_bytes: int = Field(_MIB, ge=1024, description="Largest WebSocket frame.")
    socket_send_seconds: float = Field(10.0, gt=0, description="A client that reads nothing for this long is dropped.")
    socket_ping_seconds: float = Field(25.0, gt=0, description="Interval of WebSocket pings.")
    socket_max_age_seconds: float = Field(300.0, gt=0, description="Age at which a socket is asked to reconnect.")
    socket_age_jitter_seconds: float = Field(60.0, ge=0, description="Random addition to that age.")
    socket_reconnect_seconds: float = Field(10.0, ge=0, description="Time a socket has to reconnect once asked.")
    socket_ack_seconds: float = Field(5.0, ge=0, description="How long a closing socket waits for its last acks.")
    socket_idle_frames_burst: int = Field(50, ge=1, description="Frames without events at once; more is flooding.")
    socket_idle_frames_per_second: float = Field(5.0, gt=0, description="Frames without events per second.")
    live_heartbeat_seconds: float = Field(15.0, gt=0, description="Interval of heartbeats on the live feed.")

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("admin_port", "static_folder", "demo_folder", "demo_key_file", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network)
        return value
