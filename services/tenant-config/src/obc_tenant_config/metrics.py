"""What this service counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

WATCHERS = Gauge("obc_tenant_config_watchers", "Processes that follow WatchConfigs of this process.")
REVISION = Gauge("obc_tenant_config_revision", "Newest revision that this process has read.")
CHANGES_READ = Counter("obc_tenant_config_changes_read_total", "Announced changes read, by kind.", ["kind"])
