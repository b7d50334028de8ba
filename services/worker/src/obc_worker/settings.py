"""Every setting of the worker. docs/configuration.md is generated from here."""

from typing import Self

from pydantic import Field, model_validator

from obc_common.settings import DatabaseSettings, Port, ServiceSettings


class Settings(ServiceSettings, DatabaseSettings):
    """What the worker can be told."""

    grpc_port: Port = Field(
        50054, alias="ANALYTICS_WORKER_GRPC_PORT", description="Port of gRPC health; 0 = any free one."
    )
    admin_port: Port | None = Field(
        9104, alias="ANALYTICS_WORKER_ADMIN_PORT", description="Port of /metrics and probes; 0 = any free one."
    )
    processing_interval: float = Field(60.0, ge=0.05, le=3600, description="Seconds between two rounds of all jobs.")
    worker_concurrent_jobs: int = Field(
        16,
        ge=1,
        le=64,
        description="Shares of jobs under way at once in one process; with few, a long one holds up the others.",
    )
    worker_lease_seconds: float = Field(
        30.0, ge=1, le=300, description="A worker that is not heard of for this long loses its jobs to another."
    )
    worker_retry_seconds: float = Field(
        5.0, gt=0, description="Pause before a failed job is tried again; doubles with every attempt."
    )
    worker_dead_letter_retry_seconds: float = Field(
        21_600, gt=0, description="Pause before a job that failed five times (a dead letter) is tried again by itself."
    )
    worker_batch_rows: int = Field(5_000, ge=1, le=50_000, description="Rows deleted in one transaction.")
    worker_ledger_blocks: int = Field(
        512, ge=1, le=8192, description="Blocks (8 kB) of the ledger of event ids swept in one transaction."
    )
    partition_months_ahead: int = Field(3, ge=1, le=11, description="Months whose partitions are made ahead.")
    bad_row_retention_days: int = Field(
        30, ge=1, le=3650, description="Days that bad rows are kept; never longer than their tenant's events."
    )
    max_event_age_days: int = Field(30, ge=1, le=3650, description="As for ingest: the same value.")
    dedup_window_days: int = Field(
        30, ge=1, le=3650, description="As for ingest, the same value: older event ids are forgotten (7 days at least)."
    )

    @model_validator(mode="after")
    def _window_covers_age(self) -> Self:
        # An id that is forgotten while its event is still young enough to be accepted could be stored twice.
        if self.dedup_window_days < self.max_event_age_days:
            raise ValueError("ANALYTICS_DEDUP_WINDOW_DAYS must be at least ANALYTICS_MAX_EVENT_AGE_DAYS")
        return self
