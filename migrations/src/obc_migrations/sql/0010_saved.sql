-- Saved insights and saved dashboards: written by the Query service, which checks what they ask. No foreign key to tenants,
-- as with events: the tenant comes from the credential.
CREATE TABLE saved_items (
    tenant_id   uuid        NOT NULL,
    id          uuid        NOT NULL,
    type        text        NOT NULL CHECK (type IN ('insight', 'dashboard')),
    kind        text        NOT NULL CHECK (length(kind) <= 50 AND (type = 'insight') = (kind <> '')),
    -- The name as it is compared and ordered: normalised and case-folded by the service, so no locale has a say.
    name_key    text        NOT NULL COLLATE "C" CHECK (octet_length(name_key) BETWEEN 1 AND 1000),
    version     bigint      NOT NULL CHECK (version > 0),
    insight_ids uuid[]      NOT NULL DEFAULT '{}', -- insights of a dashboard's tiles
    created_at  timestamptz NOT NULL,
    created_by  text        NOT NULL,
    deleted_at  timestamptz,
    deleted_by  text,
    PRIMARY KEY (tenant_id, id),
    CHECK ((deleted_at IS NULL) = (deleted_by IS NULL))
);
CREATE UNIQUE INDEX saved_items_name ON saved_items (tenant_id, type, name_key) WHERE deleted_at IS NULL;

-- One row per version, never changed. The definition is json and not jsonb: it comes back as it was sent, and nobody looks
-- into it here.
CREATE TABLE saved_versions (
    tenant_id   uuid        NOT NULL,
    item_id     uuid        NOT NULL,
    version     bigint      NOT NULL CHECK (version > 0),
    kind        text        NOT NULL,
    name        text        NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description text        NOT NULL CHECK (length(description) <= 2000),
    definition  json        NOT NULL CHECK (octet_length(definition::text) <= 65536),
    saved_at    timestamptz NOT NULL,
    saved_by    text        NOT NULL,
    PRIMARY KEY (tenant_id, item_id, version),
    FOREIGN KEY (tenant_id, item_id) REFERENCES saved_items (tenant_id, id) ON DELETE CASCADE
);

ALTER TABLE saved_items ENABLE ROW LEVEL SECURITY;
ALTER TABLE saved_items FORCE ROW LEVEL SECURITY;
ALTER TABLE saved_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE saved_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON saved_items TO obc_query
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
CREATE POLICY own_rows ON saved_versions TO obc_query
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));

-- The role stays read-only by default: a transaction that writes here says so.
GRANT SELECT, INSERT, DELETE ON saved_items, saved_versions TO obc_query;
GRANT UPDATE (kind, name_key, version, insight_ids, deleted_at, deleted_by) ON saved_items TO obc_query;
