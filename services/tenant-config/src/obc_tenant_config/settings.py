"""Every setting of the TenantConfig service. docs/configuration.md is generated from here."""

from __future__ import annotations

from pydantic import Field, SecretStr

from obc_common.settings import DatabaseSettings, Port, ServiceSettings
from obc_tenant_config.analytics_config import MAX_RETENTION_DAYS


class Settings(ServiceSettings, DatabaseSettings):
    """What the TenantConfig service can be told."""

    grpc_port: Port = Field(
        50053, alias="ANALYTICS_TENANT_CONFIG_GRPC_PORT", description="gRPC port; 0 = any free one."
    )
    admin_port: Port | None = Field(
        9103, alias="ANALYTICS_TENANT_CONFIG_ADMIN_PORT", description="Port of /metrics and probes; 0 = any free one."
    )
    bootstrap_operator_key: SecretStr | None = Field(
        None, description="Text of an operator key (ok_live_...) to make sure of at start; unset = none."
    )
    retention_days: int = Field(
        365, ge=1, le=MAX_RETENTION_DAYS, description="Days that events are kept, in the rules of a new tenant."
    )
    max_live_keys: int = Field(
        100, ge=2, le=10_000, description="Most live keys of one tenant; every process holds them all in memory."
    )
