-- Events: the system of record. Partitioned by month of event_time, and inside a month by tenant: tenants of their own
-- partition have one each, the others share the default. Retention of a month or of a large tenant is a DROP.
--
-- Differences from the seed's table, and why: `id` is no primary key, for a partitioned table would force the partition
-- columns into it (uniqueness per (tenant_id, event_id) is the ledger's, below); user_id is text, for opaque ids are
-- allowed; there is no foreign key to tenants, for a check per row halves COPY and the tenant comes from the credential.
CREATE TABLE analytics_events (
    id             uuid        NOT NULL DEFAULT gen_random_uuid(),
    tenant_id      uuid        NOT NULL,
    event_id       uuid        NOT NULL,
    user_id        text        CHECK (length(user_id) <= 200),
    anonymous_id   text        CHECK (length(anonymous_id) <= 200),
    session_id     text        CHECK (length(session_id) <= 200),
    event_name     text        NOT NULL CHECK (length(event_name) BETWEEN 1 AND 200),
    event_category text        NOT NULL CHECK (length(event_category) <= 100),
    properties     jsonb       NOT NULL,
    "timestamp"    timestamptz NOT NULL, -- the client's clock
    sent_at        timestamptz,
    received_at    timestamptz NOT NULL,
    skew_ms        bigint      NOT NULL,
    event_time     timestamptz NOT NULL, -- timestamp + skew_ms: what every question uses
    page_url       text,
    referrer       text,
    user_agent     text,                 -- keyed hash only (daily salt, destroyed after 48 h)
    ip_hash        text,                 -- likewise
    device_info    jsonb       NOT NULL,
    correlation_id text        CHECK (length(correlation_id) <= 255),
    sample_rate    float8      NOT NULL, -- share of users kept, for re-weighting
    created_at     timestamptz NOT NULL DEFAULT now(),
    ingest_xid     xid8        NOT NULL DEFAULT pg_current_xact_id()
) PARTITION BY RANGE (event_time);

-- Which of the seed's five indexes stay is measured by `make bench-indexes`: (tenant_id), (timestamp), (event_name),
-- (user_id) and (session_id) answered questions that the read model answers now. Two access paths are left: the projector
-- follows ingest_xid, and a page of events is fetched by its exact keys.
CREATE INDEX analytics_events_xid ON analytics_events (ingest_xid);
CREATE INDEX analytics_events_key ON analytics_events (tenant_id, event_time, event_id);

-- The ledger: (tenant_id, event_id) exactly once within the dedup window, whatever the event's time.
CREATE TABLE event_ids (
    tenant_id    uuid   NOT NULL,
    event_id     uuid   NOT NULL,
    received_day date   NOT NULL,
    fingerprint  bigint NOT NULL, -- 8 bytes of the payload's hash, to notice one id with two payloads
    PRIMARY KEY (tenant_id, event_id)
) PARTITION BY HASH (tenant_id, event_id);
DO $$
BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE event_ids_p%s PARTITION OF event_ids FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
    END LOOP;
END
$$;

-- Events that failed validation, kept for listing and replay. The body is bytea: what cannot be stored as text is here too.
CREATE TABLE bad_rows (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id   uuid        NOT NULL,
    received_at timestamptz NOT NULL,
    code        text        NOT NULL,
    field       text        NOT NULL,
    message     text        NOT NULL,
    sdk         text        NOT NULL,
    event_id    text        NOT NULL,
    body        bytea       NOT NULL CHECK (octet_length(body) <= 65536),
    truncated   boolean     NOT NULL,
    replay_of   bigint
);
CREATE INDEX bad_rows_tenant ON bad_rows (tenant_id, received_at DESC, id DESC);

-- Salts of the IP and user-agent hashes: random, one per tenant and day, deleted after 48 hours.
CREATE TABLE hash_salts (
    tenant_id uuid  NOT NULL,
    day       date  NOT NULL,
    salt      bytea NOT NULL,
    PRIMARY KEY (tenant_id, day)
);

ALTER TABLE analytics_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE analytics_events FORCE ROW LEVEL SECURITY;
ALTER TABLE bad_rows ENABLE ROW LEVEL SECURITY;
ALTER TABLE bad_rows FORCE ROW LEVEL SECURITY;
-- The sub-select is evaluated once per statement, which lets the index on tenant_id be used; no tenant means no row.
CREATE POLICY own_rows ON analytics_events FOR SELECT TO obc_query
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
CREATE POLICY own_rows ON bad_rows FOR SELECT TO obc_query
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
-- The projector copies every tenant's events to the read model.
CREATE POLICY projector_reads_all ON analytics_events FOR SELECT TO obc_projector USING (true);

-- Grants on parents only: a policy of the parent does not protect a partition that is read directly.
GRANT INSERT ON analytics_events, event_ids, bad_rows TO obc_ingest;
GRANT SELECT (tenant_id, event_id, fingerprint) ON event_ids TO obc_ingest;
GRANT SELECT, INSERT, DELETE ON hash_salts TO obc_ingest;
GRANT SELECT ON analytics_events, bad_rows TO obc_query;
GRANT SELECT ON analytics_events TO obc_projector;
