"""Every setting of the ingest service. docs/configuration.md is generated from here."""

from typing import Self

from pydantic import Field, model_validator

from obc_common.settings import DatabaseSettings, Port, RedisSettings, ServiceSettings, TenantDirectorySettings
from obc_ingest.limits import Limits


class Settings(ServiceSettings, DatabaseSettings, RedisSettings, TenantDirectorySettings):
    """What the ingest service can be told."""

    grpc_port: Port = Field(50051, alias="ANALYTICS_INGEST_GRPC_PORT", description="gRPC port; 0 = any free one.")
    admin_port: Port | None = Field(
        9101, alias="ANALYTICS_INGEST_ADMIN_PORT", description="Port of /metrics and probes; 0 = any free one."
    )

    max_events_per_batch: int = Field(1000, ge=1, le=10_000, description="Most events of one batch.")
    max_batch_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, le=4 * 1024 * 1024, description="Largest batch, inflated (the gRPC limit follows it)."
    )
    max_event_bytes: int = Field(32 * 1024, ge=256, description="Largest event, as compact JSON.")
    max_property_keys: int = Field(256, ge=1, description="Most property keys of one event, nested ones included.")
    max_property_key_length: int = Field(128, ge=1, description="Longest property key, characters.")
    max_property_depth: int = Field(8, ge=1, le=64, description="Deepest nesting of properties; flat ones are 1 deep.")
    max_string_bytes: int = Field(8 * 1024, ge=64, description="Longest property string, UTF-8 bytes.")
    max_event_age_days: int = Field(30, ge=1, le=3650, description="Older live events are bad rows `too_old`.")
    max_event_future_seconds: int = Field(
        3600, ge=0, le=86_400, description="Events further in the future (after clock correction) are `too_new`."
    )
    min_skew_seconds: int = Field(
        60, ge=1, description="A client clock is corrected from this difference on; less is taken for latency."
    )
    dedup_window_days: int = Field(
        30, ge=1, le=3650, description="How long event ids are remembered; at least max_event_age_days."
    )

    ingest_rate_per_second: float = Field(10_000, gt=0, description="Events per second, per key and per tenant.")
    ingest_burst: int = Field(50_000, ge=1, description="Events at once, per key and per tenant.")
    import_rate_per_second: float = Field(
        20_000,
        ge=100,
        description="Imported events per second of one tenant; a faster import has to wait.",
    )

    flush_events: int = Field(
        1000,
        ge=1,
        le=20_000,
        validation_alias="ANALYTICS_BATCH_SIZE",
        description="Events that are written by one transaction: so many start it at once.",
    )
    flush_bytes: int = Field(1024 * 1024, ge=1024, description="Bytes after which a flush starts at once.")
    flush_interval_ms: float = Field(4, ge=0, le=1000, description="Longest wait of an event for company.")
    flushes_in_flight: int = Field(
        2, ge=1, le=32, description="Flushes (transactions) at the same time; fewer are larger."
    )
    flush_timeout_seconds: float = Field(
        10, gt=0, le=30, description="A flush that takes longer is given up: its senders are told to retry."
    )
    queue_events: int = Field(50_000, ge=1000, description="Events waiting or being written; more are refused (503).")
    queue_bytes: int = Field(
        64 * 1024 * 1024, ge=1024 * 1024, description="Bytes waiting or being written; more are refused (503)."
    )

    max_bytes_in_flight: int = Field(
        64 * 1024 * 1024,
        ge=8 * 1024 * 1024,
        description="Bytes of unanswered batches of one process; more are refused before they are parsed (503).",
    )
    tenant_share: float = Field(
        0.5, gt=0, le=1, description="Share of the bytes and events under way that one tenant may have; more get 429."
    )
    batches_judged_at_once: int = Field(
        4, ge=1, le=64, description="Batches that are parsed and judged at once; those that wait take turns by tenant."
    )

    stream_credits: int = Field(8, ge=1, le=64, description="Unacknowledged batches of one stream.")
    stream_max_age_seconds: float = Field(
        300, gt=0, description="Age (plus up to 20 %) at which a stream is asked to reconnect."
    )
    live_queue_messages: int = Field(
        1000, ge=1, description="Live messages waiting for Redis; more are dropped and counted."
    )

    @model_validator(mode="after")
    def _window_covers_age(self) -> Self:
        # An id that is forgotten while its event is still young enough to be accepted could be stored twice.
        if self.dedup_window_days < self.max_event_age_days:
            raise ValueError("ANALYTICS_DEDUP_WINDOW_DAYS must be at least ANALYTICS_MAX_EVENT_AGE_DAYS")
        if self.ingest_burst < self.max_events_per_batch:
            raise ValueError("ANALYTICS_INGEST_BURST must be at least ANALYTICS_MAX_EVENTS_PER_BATCH")
        if self.queue_events < self.max_events_per_batch or self.queue_bytes < 2 * self.max_batch_bytes:
            raise ValueError("the queue must hold at least one batch (ANALYTICS_QUEUE_EVENTS, ANALYTICS_QUEUE_BYTES)")
        return self

    def limits(self) -> Limits:
        """The part of the settings that one event is judged by."""
        return Limits(
            events=self.max_events_per_batch,
            batch_bytes=self.max_batch_bytes,
            event_bytes=self.max_event_bytes,
            property_keys=self.max_property_keys,
            property_key_length=self.max_property_key_length,
            property_depth=self.max_property_depth,
            string_bytes=self.max_string_bytes,
            age_ms=self.max_event_age_days * 86_400_000,
            future_ms=self.max_event_future_seconds * 1000,
            min_skew_ms=self.min_skew_seconds * 1000,
        )
