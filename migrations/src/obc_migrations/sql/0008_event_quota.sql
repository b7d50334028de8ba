-- Events that ingest processes have reserved of a tenant's daily quota (UTC days). A process takes a small share at a time,
-- so that the row is written once per share and not once per batch. Rows of past days are removed by the first of a new one.
CREATE TABLE event_quota_use (
    tenant_id uuid   NOT NULL,
    day       date   NOT NULL,
    events    bigint NOT NULL CHECK (events >= 0),
    PRIMARY KEY (tenant_id, day)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON event_quota_use TO obc_ingest;
