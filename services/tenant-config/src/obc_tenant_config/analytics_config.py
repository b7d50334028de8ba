"""A tenant's rules: their values, their limits, and a patch of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Self

import orjson

from obc_common.errors import InvalidArgument
from obc_common.tenant_state import TenantRules

TRACKING_LEVELS: Final = ("minimal", "standard", "detailed")
CONSENT_POLICIES: Final = ("obey", "ignore")
MAX_RETENTION_DAYS: Final = 3650
MAX_EVENT_QUOTA: Final = 2**53  # JSON's whole numbers
_MAX_NAMES: Final = 1000
_MAX_PROPERTY_CHARS: Final = 128  # as in the event: contract section 1
_MAX_EVENT_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class AnalyticsConfig:
    """The content of one version; see obc_common.tenant_state.TenantRules for what each field means."""

    enabled: bool = True
    tracking_level: str = "standard"
    retention_days: int = 365
    data_export_enabled: bool = True
    real_time_enabled: bool = True
    custom_properties: tuple[str, ...] = ("*",)
    excluded_events: tuple[str, ...] = ()
    sampling_rate: float = 1.0
    consent_policy: str = "obey"
    event_quota_per_day: int = 0

    def to_json(self) -> bytes:
        """As stored."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, stored: bytes) -> Self:
        """From what was stored; a field that an older version did not have gets its default."""
        values: dict[str, Any] = orjson.loads(stored)
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        for name in ("custom_properties", "excluded_events"):
            if name in known:
                known[name] = tuple(known[name])
        # JSON does not tell 1 from 1.0, and jsonb may give back either.
        if "sampling_rate" in known:
            known["sampling_rate"] = float(known["sampling_rate"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class ConfigPatch:
    """Changes: None = stays as it is."""

    enabled: bool | None = None
    tracking_level: str | None = None
    retention_days: int | None = None
    data_export_enabled: bool | None = None
    real_time_enabled: bool | None = None
    custom_properties: tuple[str, ...] | None = None
    excluded_events: tuple[str, ...] | None = None
    sampling_rate: float | None = None
    consent_policy: str | None = None
    event_quota_per_day: int | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that are set."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """One version of a tenant's rules, with who made it when (unix milliseconds)."""

    tenant_id: str
    version: int
    config: AnalyticsConfig
    created_at_ms: int
    created_by: str

    def rules(self) -> TenantRules:
        """What processes apply."""
        content = {field.name: getattr(self.config, field.name) for field in fields(self.config)}
        return TenantRules(tenant_id=self.tenant_id, version=self.version, **content)


def apply_patch(config: AnalyticsConfig, patch: ConfigPatch) -> AnalyticsConfig:
    """The rules after a patch.

    Raises:
        InvalidArgument: EMPTY_PATCH, or BAD_CONFIG naming the field (`config.sampling_rate`).
    """
    changes = patch.changes()
    if not changes:
        raise InvalidArgument("EMPTY_PATCH", "no field is set", field="config")
    patched = replace(config, **changes)
    check(patched)
    return patched


def check(config: AnalyticsConfig) -> None:
    """Raises InvalidArgument(BAD_CONFIG), naming the first field that is out of its limits."""
    _require(config.tracking_level in TRACKING_LEVELS, "tracking_level", f"must be one of {', '.join(TRACKING_LEVELS)}")
    _require(
        1 <= config.retention_days <= MAX_RETENTION_DAYS,
        "retention_days",
        f"must be between 1 and {MAX_RETENTION_DAYS}",
    )
    _require(
        math.isfinite(config.sampling_rate) and 0.0 <= config.sampling_rate <= 1.0,
        "sampling_rate",
        "must be between 0.0 and 1.0",
    )
    _require(
        config.consent_policy in CONSENT_POLICIES, "consent_policy", f"must be one of {', '.join(CONSENT_POLICIES)}"
    )
    _require(
        0 <= config.event_quota_per_day <= MAX_EVENT_QUOTA,
        "event_quota_per_day",
        "must be 0 (no limit) or a number of events",
    )
    _check_names("custom_properties", config.custom_properties, _MAX_PROPERTY_CHARS)
    _check_names("excluded_events", config.excluded_events, _MAX_EVENT_CHARS)
    for position, name in enumerate(config.excluded_events):
        _require("*" not in name[:-1], f"excluded_events[{position}]", "may have a `*` at its end only")


def _check_names(field: str, names: tuple[str, ...], longest: int) -> None:
    _require(len(names) <= _MAX_NAMES, field, f"may have at most {_MAX_NAMES} names")
    for position, name in enumerate(names):
        _require(1 <= len(name) <= longest, f"{field}[{position}]", f"must have 1 to {longest} characters")
        _require("\x00" not in name, f"{field}[{position}]", "must not contain the NUL character")


def _require(condition: bool, field: str, what: str) -> None:
    if not condition:
        raise InvalidArgument("BAD_CONFIG", f"{field} {what}", field=f"config.{field}")
