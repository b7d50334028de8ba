"""Tables of the read model: what questions filter and count on, and the projector's log.

The read model finds and counts; PostgreSQL, the system of record, tells. So ids of correlation, hashes and the client's
own clock are not here: a page of events is fetched from PostgreSQL by its keys.

Sorted by tenant, day and person: a person's rows of a day lie together, which compresses ids to almost nothing and lets
users, sessions and funnels be grouped in order; a time range prunes by day, and by month through the partitions.
"""

import hashlib

from obc_query.warehouse import Handle

EVENTS_COLUMNS = (
    "tenant_id",
    "event_id",
    "event_name",
    "event_category",
    "user_id",
    "anonymous_id",
    "session_id",
    "event_time",
    "received_at",
    "page_url",
    "referrer",
    "device_type",
    "browser",
    "browser_version",
    "os",
    "os_version",
    "language",
    "device_timezone",
    "screen_width",
    "screen_height",
    "viewport_width",
    "viewport_height",
    "properties",
    "sample_rate",
)
"""What the projector writes, in its order; the other columns are computed by the engine."""

QUARTER_MS = 900_000
QUARTER = f"intDiv(toUnixTimestamp64Milli(event_time), {QUARTER_MS})"
"""An event's quarter of an hour, as the projection of that name has it: a statement must say it in the same words."""

# fsync: the log must not say `done` of a batch that a power cut takes back.
_DURABLE = "fsync_after_insert = 1, fsync_part_directory = 1"

# Every merge packs all columns again. Merging twelve parts of a size at a time instead of five costs a third of the
# processor time per event, for some more small parts that a question has to look into.
_RARE_MERGES = "merge_selector_base = 12"

_EVENTS = f"""
CREATE TABLE IF NOT EXISTS events (
    tenant_id       UUID,
    event_id        UUID CODEC(ZSTD(3)),
    event_name      LowCardinality(String) CODEC(ZSTD(3)),
    event_category  LowCardinality(String) CODEC(ZSTD(3)),
    user_id         String CODEC(ZSTD(3)),
    anonymous_id    String CODEC(ZSTD(3)),
    session_id      String CODEC(ZSTD(3)),
    person          String MATERIALIZED
                        multiIf(user_id != '', user_id, anonymous_id != '', anonymous_id, session_id) CODEC(ZSTD(3)),
    event_time      DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(3)),
    received_at     DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(3)),
    page_url        String CODEC(ZSTD(3)),
    page_path       String MATERIALIZED if(startsWith(page_url, '/'), cutQueryStringAndFragment(page_url),
                        if(domain(page_url) != '' AND path(page_url) = '', '/', path(page_url))) CODEC(ZSTD(3)),
    page_host       LowCardinality(String) MATERIALIZED domain(page_url) CODEC(ZSTD(3)),
    referrer        String CODEC(ZSTD(3)),
    referrer_host   LowCardinality(String) MATERIALIZED domain(referrer) CODEC(ZSTD(3)),
    device_type     LowCardinality(String) CODEC(ZSTD(3)),
    browser         LowCardinality(String) CODEC(ZSTD(3)),
    browser_version LowCardinality(String) CODEC(ZSTD(3)),
    os              LowCardinality(String) CODEC(ZSTD(3)),
    os_version      LowCardinality(String) CODEC(ZSTD(3)),
    language        LowCardinality(String) CODEC(ZSTD(3)),
    device_timezone LowCardinality(String) CODEC(ZSTD(3)),
    screen_width    UInt32 CODEC(ZSTD(3)),
    screen_height   UInt32 CODEC(ZSTD(3)),
    viewport_width  UInt32 CODEC(ZSTD(3)),
    viewport_height UInt32 CODEC(ZSTD(3)),
    properties      JSON CODEC(ZSTD(3)),
    sample_rate     Float64 CODEC(ZSTD(3)),
    INDEX by_time event_time TYPE minmax GRANULARITY 1,
    INDEX by_rate sample_rate TYPE minmax GRANULARITY 1,
    PROJECTION devices (
        SELECT tenant_id, anonymous_id, argMinIf(user_id, (event_time, user_id), notEmpty(user_id)), max(empty(user_id))
        GROUP BY tenant_id, anonymous_id
    ),
    PROJECTION users_of_devices (
        SELECT tenant_id, minIf(user_id, anonymous_id > ''), maxIf(user_id, anonymous_id > '')
        GROUP BY tenant_id
    ),
    PROJECTION quarters (
        SELECT tenant_id, {QUARTER}, event_name, event_category, count(), sum(1 / sample_rate)
        GROUP BY tenant_id, {QUARTER}, event_name, event_category
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (tenant_id, toDate(event_time), person, event_time, event_id)
SETTINGS non_replicated_deduplication_window = 10000, lightweight_mutation_projection_mode = 'rebuild',
    {_RARE_MERGES}, {_DURABLE}
COMMENT '{{comment}}'
"""

# Replacing over a ring of slots: the log stays small for ever and its newest rows are never dropped.
_LOG = f"""
CREATE TABLE IF NOT EXISTS projection_log (
    state      Enum8('intent' = 1, 'done' = 2),
    slot       UInt16,
    batch      UInt64,
    lo         UInt64,
    hi         UInt64,
    token      String,
    tenants    Array(UUID),
    generation String,
    source     String
)
ENGINE = ReplacingMergeTree(batch)
ORDER BY (state, slot)
SETTINGS {_DURABLE}
COMMENT '{{comment}}'
"""
LOG_SLOTS = 1000

_TABLES = {"events": _EVENTS, "projection_log": _LOG}
FINGERPRINT = hashlib.sha256("".join(_TABLES.values()).encode()).hexdigest()[:16]
"""Changes with the tables' definitions; a read model of another fingerprint is dropped and rebuilt."""


def ensure_tables(handle: Handle) -> bool:
    """Makes the tables where they are missing, anew where they are of another release. True when they are new."""
    rows = handle.query("SELECT name, comment FROM system.tables WHERE database = currentDatabase()")
    found = {row[0]: row[1] for row in rows}
    if all(found.get(name) == FINGERPRINT for name in _TABLES):
        return False
    drop_tables(handle)
    for definition in _TABLES.values():
        handle.command(definition.replace("{comment}", FINGERPRINT))
    return True


def drop_tables(handle: Handle) -> None:
    """Drops the read model. The log goes first: without it nothing is taken for projected."""
    for name in reversed(_TABLES):
        handle.command(f"DROP TABLE IF EXISTS {name} SYNC")
