-- Decisions about links between devices and users: rows are added, never changed, and the newest of a device counts. A
-- tenant's are written one after the other, so that a higher number is a later one.
CREATE TABLE link_decisions (
    tenant_id    uuid        NOT NULL,
    seq          bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    anonymous_id text        NOT NULL COLLATE "C" CHECK (length(anonymous_id) BETWEEN 1 AND 200),
    decision     text        NOT NULL CHECK (decision IN ('unlink', 'link')),
    decided_at   timestamptz NOT NULL,
    decided_by   text        NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);
CREATE INDEX link_decisions_of_device ON link_decisions (tenant_id, anonymous_id, seq DESC);

ALTER TABLE link_decisions ENABLE ROW LEVEL SECURITY;
ALTER TABLE link_decisions FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON link_decisions TO obc_query
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));

-- Nobody may update. What is deleted are all decisions about a device that no event is left of.
GRANT SELECT, INSERT, DELETE ON link_decisions TO obc_query;
