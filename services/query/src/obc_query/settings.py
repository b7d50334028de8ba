"""What the Query process can be told."""

from pydantic import Field, SecretStr

from obc_common.settings import DatabaseSettings, Port, RedisSettings, ServiceSettings, TenantDirectorySettings


class Settings(ServiceSettings, DatabaseSettings, RedisSettings, TenantDirectorySettings):
    """Settings of the Query service."""

    grpc_port: Port = Field(50052, alias="ANALYTICS_QUERY_GRPC_PORT", description="Port of the gRPC server; 0 = any.")
    admin_port: Port | None = Field(
        9102, alias="ANALYTICS_QUERY_ADMIN_PORT", description="Port of /metrics and /livez; empty = none, 0 = any."
    )
    warehouse_url: SecretStr = Field(
        SecretStr("chdb:///var/lib/obc/warehouse"),
        description=(
            "The read model: chdb:///absolute/path (embedded ClickHouse engine, one process per path) or "
            "clickhouse[s]://user:password@host:port."
        ),
    )
    warehouse_database: str = Field(
        "obc", pattern="^[a-z][a-z0-9_]{0,62}$", description="Database of the read model; made when it is missing."
    )
    warehouse_clients: int = Field(8, ge=1, le=64, description="Statements the read model runs at once.")
    query_timeout_seconds: float = Field(30.0, gt=0, description="Longest a question may take.")
    query_max_memory_bytes: int = Field(
        1 << 30, ge=1 << 24, description="Most memory one statement may take in the engine."
    )
    tenant_concurrent_statements: int = Field(
        4, ge=1, description="Most statements of one tenant at once, and never more than then are free."
    )
    tenant_waiting_questions: int = Field(
        32, ge=1, description="Questions of one tenant under way or waiting; more are refused with TENANT_BUSY."
    )
    answer_cache_seconds: int = Field(300, ge=0, description="How long an answer is kept in Redis; 0 = no cache.")
    projector_poll_ms: int = Field(300, ge=10, description="Pause between two looks for new events, milliseconds.")
    projector_batch_rows: int = Field(
        20_000, ge=1, description="Events copied at once; one transaction is never split."
    )
    read_model_retention_seconds: float = Field(
        3600.0,
        gt=0,
        description="Pause between two removals of expired events, and of decisions about gone devices.",
    )
    saved_insights_per_tenant: int = Field(
        1000, ge=1, description="Saved insights of one tenant; deleted ones do not count."
    )
    saved_dashboards_per_tenant: int = Field(
        200, ge=1, description="Saved dashboards of one tenant; deleted ones do not count."
    )
    saved_cohorts_per_tenant: int = Field(500, ge=1, description="Cohorts of one tenant; deleted ones do not count.")
    unlinked_devices_per_tenant: int = Field(
        10_000, ge=1, description="Devices of one tenant that are unlinked by decision."
    )
    live_queue_messages: int = Field(
        64, ge=1, description="Messages kept for a slow live subscriber; the oldest are dropped and counted."
    )
    live_snapshot_seconds: float = Field(1.0, gt=0, description="Pause between two live snapshots.")
