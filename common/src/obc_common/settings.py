"""Settings from the environment: every one documented, typed, and named `ANALYTICS_*`.

docs/configuration.md is generated from these classes.
"""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65535)]


class ServiceSettings(BaseSettings):
    """What every process can be told."""

    model_config = SettingsConfigDict(
        env_prefix="ANALYTICS_", frozen=True, populate_by_name=True, extra="ignore", validate_default=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe level to log.")
    log_format: Literal["json", "console"] = Field("json", description="`json` for machines, `console` for people.")
    internal_secret: SecretStr = Field(
        min_length=32,
        description="Shared secret of the suite's processes (32 characters or more): signs identities and page tokens.",
    )
    reflection_enabled: bool = Field(False, description="Serve gRPC reflection (for grpcurl).")
    drain_delay_seconds: float = Field(
        5.0,
        ge=0,
        description="After SIGTERM: time to go on serving while load balancers notice that readiness is gone.",
    )
    drain_grace_seconds: float = Field(20.0, ge=0, description="After that: time for calls under way to finish.")
    max_connection_age_seconds: int = Field(
        300,
        ge=10,
        description="Age at which a gRPC client is asked to reconnect, so that load spreads to new replicas.",
    )
    max_concurrent_calls: int = Field(512, ge=1, description="Unary calls under way in one process; more are refused.")
    max_concurrent_streams: int = Field(2000, ge=1, description="Streams open in one process; more are refused.")
    otlp_endpoint: str = Field(
        "", description="OpenTelemetry collector (OTLP over gRPC), e.g. http://collector:4317; empty = no tracing."
    )


class DatabaseSettings(BaseSettings):
    """How to reach PostgreSQL."""

    model_config = SettingsConfigDict(env_prefix="ANALYTICS_", frozen=True, populate_by_name=True, extra="ignore")

    database_url: SecretStr = Field(
        description="PostgreSQL, e.g. postgresql://user:pass@localhost/analytics; the login takes the process's role."
    )
    database_pool_size: int = Field(8, ge=1, le=100, description="Most connections of one process.")


class RedisSettings(BaseSettings):
    """How to reach Redis. Losing it loses the live feed and the cache, never an event."""

    model_config = SettingsConfigDict(env_prefix="ANALYTICS_", frozen=True, populate_by_name=True, extra="ignore")

    redis_url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379"), description="Redis, e.g. redis://localhost:6379.")


class TenantDirectorySettings(BaseSettings):
    """How to reach TenantConfig."""

    model_config = SettingsConfigDict(env_prefix="ANALYTICS_", frozen=True, populate_by_name=True, extra="ignore")

    tenant_config_address: str = Field(
        "127.0.0.1:50053", description="gRPC target of TenantConfig, e.g. dns:///tenant-config-headless:50053."
    )


def setting_mistakes(error: ValidationError) -> list[str]:
    """One line per wrong or missing setting, by its variable; never the value, which may be a secret."""
    return [f"{_variable(problem['loc'])}{problem['msg']}" for problem in error.errors()]


def _variable(location: tuple[int | str, ...]) -> str:
    """The environment variable of a mistake and a colon; empty when several settings contradict each other."""
    name = "_".join(str(part) for part in location).upper()
    if not name:
        return ""
    return f"{name}: " if name.startswith("ANALYTICS_") else f"ANALYTICS_{name}: "
