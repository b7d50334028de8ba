"""docs/configuration.md from the settings classes: one table per process."""

from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from obc_common.settings import DatabaseSettings, RedisSettings, ServiceSettings, TenantDirectorySettings
from obc_dev.settings import DevSettings
from obc_gateway.settings import Settings as GatewaySettings
from obc_ingest.settings import Settings as IngestSettings
from obc_query.settings import Settings as QuerySettings
from obc_tenant_config.settings import Settings as TenantConfigSettings
from obc_worker.settings import Settings as WorkerSettings

PATH = Path("docs/configuration.md")

_HEAD = """# Configuration

Generated from the settings classes by `make docs`; do not edit.

Every process reads its settings from the environment, once, when it starts. A wrong or missing value ends it with one
line per mistake. Secrets are masked wherever settings are shown. `make run` sets what it must and passes the rest on.
"""
_SHARED: tuple[tuple[str, type[BaseSettings]], ...] = (
    ("Every process", ServiceSettings),
    ("PostgreSQL (tenant-config, ingest, query, worker)", DatabaseSettings),
    ("Redis (ingest, query, gateway)", RedisSettings),
    ("Tenants, rules and keys (ingest, query, gateway)", TenantDirectorySettings),
)
_PROCESSES: tuple[tuple[str, type[BaseSettings]], ...] = (
    ("gateway", GatewaySettings),
    ("ingest", IngestSettings),
    ("query", QuerySettings),
    ("tenant-config", TenantConfigSettings),
    ("worker", WorkerSettings),
    ("`make run` and its relatives", DevSettings),
)


def render() -> str:
    """The whole page."""
    shared = {name for _, settings in _SHARED for name in settings.model_fields}
    parts = [_HEAD]
    for title, settings in _SHARED:
        parts.append(_section(title, settings, set()))
    for title, settings in _PROCESSES:
        # A process's own table has what only it has, and what it sets differently.
        same = {name for name in shared & set(settings.model_fields) if _is_same(name, settings)}
        parts.append(_section(title, settings, same))
    return "\n".join(parts)


def _is_same(name: str, settings: type[BaseSettings]) -> bool:
    original = next(shared.model_fields[name] for _, shared in _SHARED if name in shared.model_fields)
    return repr(original) == repr(settings.model_fields[name])


def _section(title: str, settings: type[BaseSettings], without: set[str]) -> str:
    lines = [f"## {title}", "", "| name | type | default | meaning |", "|---|---|---|---|"]
    for name, field in settings.model_fields.items():
        if name not in without:
            cells = (f"`{variable(settings, name)}`", _type(field.annotation), _default(field), field.description or "")
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def variable(settings: type[BaseSettings], name: str) -> str:
    """The environment variable of a field."""
    alias = settings.model_fields[name].validation_alias
    names = alias.choices if isinstance(alias, AliasChoices) else [alias]
    prefix = str(settings.model_config["env_prefix"])
    return next((one for one in names if isinstance(one, str) and one.startswith(prefix)), f"{prefix}{name}".upper())


_TYPE_NAMES = {SecretStr: "secret", str: "text", int: "integer", float: "number", bool: "true/false", Path: "path"}


def _type(annotation: Any) -> str:
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    origin = get_origin(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type(argument) for argument in arguments)
    if origin is not None:
        return f"list of {_type(arguments[0])}"
    return _TYPE_NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined and field.default_factory is None:
        return "**required**"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, SecretStr):
        # A default that anybody can read is no secret, unless it has user and password in it.
        value = value.get_secret_value() if "@" not in value.get_secret_value() else "****"
    if value is None or value in ("", (), []):
        return "unset"
    return f"`{value}`"
