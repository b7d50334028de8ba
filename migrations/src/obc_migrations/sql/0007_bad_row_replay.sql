-- Replay of bad rows, and what the data-quality view counts.

-- Reads and closes bad rows, one tenant's at a time under row-level security: obc_ingest bypasses that security, so it
-- must not be the one that reads them.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'obc_replay') THEN
        CREATE ROLE obc_replay LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT;
    END IF;
    GRANT obc_replay TO CURRENT_USER;
    -- For a process that logs in as obc_ingest itself: it does not inherit the right, it has to take the role.
    GRANT obc_replay TO obc_ingest;
END
$$;
ALTER ROLE obc_replay SET synchronous_commit = on;
ALTER ROLE obc_replay SET statement_timeout = '30s';
ALTER ROLE obc_replay SET idle_in_transaction_session_timeout = '30s';
GRANT USAGE ON SCHEMA public TO obc_replay;

-- A row is open until a replay has stored its event, dropped it by a rule, or found it bad in another way; then another
-- row takes its place and says so in replay_of.
ALTER TABLE bad_rows
    ADD COLUMN replayed_at   timestamptz,
    ADD COLUMN replay_result text CHECK (replay_result IN ('accepted', 'duplicate', 'dropped', 'rejected')),
    ADD CHECK ((replayed_at IS NULL) = (replay_result IS NULL));
CREATE INDEX bad_rows_open ON bad_rows (tenant_id, id) WHERE replayed_at IS NULL;

CREATE POLICY own_rows_to_replay ON bad_rows TO obc_replay
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
GRANT SELECT ON bad_rows TO obc_replay;
GRANT UPDATE (replayed_at, replay_result) ON bad_rows TO obc_replay;

-- What was left out of events that were stored, by the hour. Sums of what each ingest process counted, so a process that
-- is killed takes its last seconds with it: these numbers are for finding a mistake, not for billing.
CREATE TABLE left_out_counts (
    tenant_id uuid        NOT NULL,
    hour      timestamptz NOT NULL,
    kind      text        NOT NULL CHECK (kind IN ('stripped_property', 'unknown_field')),
    name      text        NOT NULL CHECK (length(name) <= 128),
    sdk       text        NOT NULL CHECK (length(sdk) <= 200),
    count     bigint      NOT NULL CHECK (count > 0),
    PRIMARY KEY (tenant_id, hour, kind, name, sdk)
);
ALTER TABLE left_out_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE left_out_counts FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON left_out_counts FOR SELECT TO obc_query
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
GRANT SELECT ON left_out_counts TO obc_query;
-- ON CONFLICT DO UPDATE reads the row that it adds to.
GRANT SELECT, INSERT, UPDATE (count) ON left_out_counts TO obc_ingest;
