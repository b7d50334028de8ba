"""Settings of the development stack; the processes it starts read the same environment."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from obc_common.settings import Port


class DevSettings(BaseSettings):
    """What `make run` can be told. Everything else in the environment goes to the processes as it is."""

    model_config = SettingsConfigDict(env_prefix="ANALYTICS_", frozen=True, populate_by_name=True, extra="ignore")

    dev_state_dir: Path = Field(Path(".obc"), description="Folder of everything the development stack keeps.")
    dev_postgres_port: Port = Field(55432, description="Port of the PostgreSQL that the development stack starts.")
    dev_redis_port: Port = Field(56379, description="Port of the Redis that the development stack starts.")
    gateway_port: Port = Field(8000, description="Port of the gateway's REST and WebSocket API.")
    ingest_grpc_port: Port = Field(50051, description="gRPC port of ingest.")
    query_grpc_port: Port = Field(50052, description="gRPC port of query.")
    tenant_config_grpc_port: Port = Field(50053, description="gRPC port of TenantConfig.")
    worker_grpc_port: Port = Field(50054, description="gRPC port of the worker.")
    gateway_admin_port: Port = Field(9100, description="Port of the gateway's metrics.")
    ingest_admin_port: Port = Field(9101, description="Port of ingest's metrics.")
    query_admin_port: Port = Field(9102, description="Port of query's metrics.")
    tenant_config_admin_port: Port = Field(9103, description="Port of TenantConfig's metrics.")
    worker_admin_port: Port = Field(9104, description="Port of the worker's metrics.")
    database_url: SecretStr | None = Field(None, description="A PostgreSQL that is there already; unset = start one.")
    migrations_database_url: SecretStr | None = Field(
        None, description="Login that owns the schema, for migrations; unset = the one of ANALYTICS_DATABASE_URL."
    )
    redis_url: SecretStr | None = Field(None, description="A Redis that is there already; unset = start one.")
    warehouse_url: str | None = Field(
        None, description="Read model: chdb:///path or clickhouse://host/db; unset = embedded, in the state folder."
    )
    dev_ingest_processes: int = Field(
        1,
        ge=1,
        le=16,
        description="Ingest processes of the development stack; those after the first use any free ports.",
    )
    log_level: str = Field("info", description="Least severe level that the processes log.")

    def ports(self) -> dict[str, int]:
        """The ports that must be free, by the name of their setting."""
        fields = [name for name in type(self).model_fields if name.endswith("_port")]
        if self.database_url is not None:
            fields.remove("dev_postgres_port")
        if self.redis_url is not None:
            fields.remove("dev_redis_port")
        return {f"ANALYTICS_{name.upper()}": getattr(self, name) for name in fields}
