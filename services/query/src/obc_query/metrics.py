"""The service's own Prometheus metrics. Labels are bounded and never name a tenant."""

from prometheus_client import Counter, Gauge, Histogram

PROJECTED_EVENTS = Counter("obc_query_projected_events_total", "Events copied into the read model.")
PROJECTED_BATCHES = Counter("obc_query_projected_batches_total", "Batches copied into the read model.")
REDONE_BATCHES = Counter("obc_query_projector_redone_batches_total", "Batches repeated after a crash or an error.")
UNREADABLE_PROPERTIES = Counter(
    "obc_query_projector_unreadable_properties_total",
    "Events whose properties the engine refused; they are counted without properties.",
)
LAG_XIDS = Gauge("obc_query_read_model_lag_xids", "Transaction ids between the read model and PostgreSQL's horizon.")
LAG_SECONDS = Gauge("obc_query_read_model_lag_seconds", "Age of the newest moment up to which every event is readable.")
HORIZON_LAG_XIDS = Gauge(
    "obc_query_horizon_lag_xids",
    "Transaction ids assigned in PostgreSQL but not behind its horizon; grows while a transaction stays open.",
)
HORIZON_AGE_SECONDS = Gauge(
    "obc_query_horizon_age_seconds", "Time since PostgreSQL's horizon last moved while work waited."
)
RETENTION_PASSES = Counter(
    "obc_query_retention_passes_total", "Removals of expired events from the read model, by outcome.", ["outcome"]
)
RETENTION_LAST_SUCCESS = Gauge(
    "obc_query_retention_last_success_timestamp_seconds", "When expired events were last removed, unix seconds."
)
RETENTION_DROPPED_PARTS = Counter("obc_query_retention_dropped_parts_total", "Parts dropped with all their events.")
RETENTION_DELETIONS = Counter(
    "obc_query_retention_deletions_total", "Tenants whose expired events were deleted from parts they share."
)
STATEMENT_SECONDS = Histogram(
    "obc_query_statement_seconds",
    "Time of one statement in the engine, by its purpose.",
    ["purpose"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
STATEMENT_FAILURES = Counter("obc_query_statement_failures_total", "Statements that failed, by reason.", ["reason"])
TENANT_BUSY = Counter("obc_query_tenant_busy_total", "Questions refused because their tenant had too many under way.")
CACHE_ANSWERS = Counter("obc_query_cache_answers_total", "Answers by where they came from.", ["source"])
LIVE_SUBSCRIBERS = Gauge("obc_query_live_subscribers", "Open live streams.")
LIVE_SKIPPED = Counter("obc_query_live_skipped_events_total", "Live events a subscriber was too slow for.")
