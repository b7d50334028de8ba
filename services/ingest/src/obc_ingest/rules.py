"""A tenant's rules, in the contract's order: enabled, consent, excluded events, sampling, tracking level.

What is left after them counts against the daily quota (`quota`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from obc_common.directory import TenantRules
from obc_ingest.metrics import STRIPPED_PROPERTIES
from obc_ingest.model import Event
from obc_ingest.sampling import is_kept
from obc_ingest.sdk_properties import is_sdks_own

_LONGEST_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules made ready for use on every event."""

    enabled: bool
    obeys_consent: bool
    excluded_names: frozenset[str]
    excluded_prefixes: tuple[str, ...]
    sampling_rate: float
    tracking_level: str
    kept_properties: frozenset[str] | None
    """What is kept beside the SDK's own; None = all."""
    live: bool
    event_quota_per_day: int
    """0 = no limit."""

    @classmethod
    def of(cls, rules: TenantRules) -> "RuleSet":
        """Prepares a tenant's configuration."""
        all_kept = rules.tracking_level == "detailed" or "*" in rules.custom_properties
        return cls(
            enabled=rules.enabled,
            obeys_consent=rules.consent_policy != "ignore",
            excluded_names=frozenset(name for name in rules.excluded_events if not name.endswith("*")),
            excluded_prefixes=tuple(name[:-1] for name in rules.excluded_events if name.endswith("*")),
            sampling_rate=rules.sampling_rate,
            tracking_level=rules.tracking_level,
            kept_properties=None if all_kept else frozenset(rules.custom_properties),
            live=rules.real_time_enabled,
            event_quota_per_day=rules.event_quota_per_day,
        )

    def drop_unread(self, raw: Any, *, gpc: bool) -> str:
        """The reason to drop an event before it is even judged, or empty: a bad row must not keep what consent forbids.

        Args:
            raw: the event as it came.
            gpc: the browser sent Sec-GPC: 1.
        """
        if not self.enabled:
            return "disabled"
        if self.obeys_consent and (gpc or (type(raw) is dict and raw.get("consent") is False)):
            return "consent"
        return ""

    def drop(self, event: Event) -> str:
        """The reason to drop a valid event, or empty; notes the sampling rate on one that is kept."""
        name = event.event_name
        if name in self.excluded_names or (self.excluded_prefixes and name.startswith(self.excluded_prefixes)):
            return "excluded"
        if not is_kept(event, self.sampling_rate):
            return "sampled"
        event.sample_rate = self.sampling_rate
        event.live = self.live
        return ""

    def strip(self, event: Event) -> Sequence[str]:
        """Takes away what the tracking level does not keep; answers the names of the properties that are gone."""
        if self.tracking_level == "minimal":
            return _strip_to_minimal(event)
        if self.kept_properties is not None:
            kept = {
                name: value
                for name, value in event.properties.items()
                if name in self.kept_properties or is_sdks_own(event.event_name, name)
            }
            if len(kept) < len(event.properties):
                stripped = [name for name in event.properties if name not in kept]
                STRIPPED_PROPERTIES.labels(self.tracking_level).inc(len(stripped))
                event.properties = kept
                return stripped
        return ()


def _strip_to_minimal(event: Event) -> Sequence[str]:
    """Id, name, category, times, session, page path without query and device type are left; no hash either."""
    stripped = tuple(event.properties)
    if stripped:
        STRIPPED_PROPERTIES.labels("minimal").inc(len(stripped))
    device_type = event.device_info.get("device_type")
    event.device_info = {"device_type": device_type} if device_type else {}
    event.properties = {}
    event.user_id = event.anonymous_id = event.referrer = event.correlation_id = ""
    event.user_agent = event.ip_hash = ""
    event.page_url = page_path(event.page_url)
    return stripped


def page_path(url: str) -> str:
    """The path of a page's address, without host, query and fragment; empty when there is none."""
    page = url.partition("#")[0].partition("?")[0]
    return _known_path(page) if len(page) <= _LONGEST_REMEMBERED else _path(page)


def _path(page: str) -> str:
    try:
        return urlsplit(page).path
    except ValueError:  # e.g. a bracketed host that is no IPv6 address
        return ""


_known_path = lru_cache(maxsize=4096)(_path)  # the same pages again and again
