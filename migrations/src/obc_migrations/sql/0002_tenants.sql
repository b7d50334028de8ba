-- Tenants, their rules, their keys and the audit log: written by the TenantConfig service only.
CREATE TABLE tenants (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name          varchar(200) NOT NULL,
    created_at    timestamptz  NOT NULL DEFAULT now(),
    own_partition boolean      NOT NULL DEFAULT false
);

CREATE TABLE tenant_configs (
    tenant_id  uuid        NOT NULL REFERENCES tenants (id),
    version    bigint      NOT NULL CHECK (version > 0),
    config     jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text        NOT NULL,
    PRIMARY KEY (tenant_id, version)
);

CREATE TABLE api_keys (
    id              uuid PRIMARY KEY,
    tenant_id       uuid REFERENCES tenants (id), -- null: an operator key
    kind            text        NOT NULL CHECK (kind IN ('write', 'secret', 'operator')),
    name            varchar(200) NOT NULL DEFAULT '',
    hint            text        NOT NULL,
    sha256          bytea       NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    scopes          text[]      NOT NULL DEFAULT '{}',
    allowed_origins text[]      NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz,
    revoked_at      timestamptz,
    last_used_at    timestamptz,
    CHECK ((kind = 'operator') = (tenant_id IS NULL))
);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, created_at DESC, id);

CREATE TABLE jwt_issuers (
    id           uuid PRIMARY KEY,
    issuer       text NOT NULL UNIQUE,
    audience     text NOT NULL,
    jwks_url     text NOT NULL,
    algorithm    text NOT NULL CHECK (algorithm IN ('RS256', 'ES256', 'EdDSA')),
    tenant_claim text NOT NULL,
    scopes_claim text NOT NULL,
    tenant_id    uuid REFERENCES tenants (id)
);

-- What WatchConfigs follows. Revisions are drawn under one advisory lock held to the commit, so that a revision is never
-- seen before a smaller one.
CREATE TABLE config_changes (
    revision  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind      text        NOT NULL CHECK (kind IN ('tenant', 'issuers', 'operator_keys')),
    tenant_id uuid,
    at        timestamptz NOT NULL DEFAULT now()
);

-- One hash chain per tenant; the nil UUID is the operators' chain.
CREATE TABLE audit_log (
    tenant_id      uuid        NOT NULL,
    seq            bigint      NOT NULL CHECK (seq > 0),
    at             timestamptz NOT NULL,
    actor          text        NOT NULL,
    action         text        NOT NULL,
    target         text        NOT NULL,
    details        jsonb       NOT NULL,
    correlation_id text        NOT NULL,
    prev_hash      bytea       NOT NULL,
    hash           bytea       NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);

-- A tenant's calls see its own rows; the suite's own calls and operators set app.scope = 'all'. Both are set with
-- set_config(..., true) inside a transaction, never for a session.
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
ALTER TABLE tenant_configs ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_configs FORCE ROW LEVEL SECURITY;
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_log FORCE ROW LEVEL SECURITY;

CREATE POLICY own_rows ON tenants TO obc_tenant_config
    USING (current_setting('app.scope', true) = 'all' OR id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
CREATE POLICY own_rows ON tenant_configs TO obc_tenant_config
    USING (current_setting('app.scope', true) = 'all' OR tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
CREATE POLICY own_rows ON api_keys TO obc_tenant_config
    USING (current_setting('app.scope', true) = 'all' OR tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
CREATE POLICY own_rows ON audit_log TO obc_tenant_config
    USING (current_setting('app.scope', true) = 'all' OR tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
-- Functions that run as the owner read the list of tenants.
CREATE POLICY owner_reads ON tenants TO CURRENT_USER USING (true);

GRANT SELECT, INSERT ON tenants, tenant_configs, config_changes, audit_log TO obc_tenant_config;
GRANT SELECT, INSERT ON api_keys TO obc_tenant_config;
GRANT UPDATE (expires_at, revoked_at, last_used_at) ON api_keys TO obc_tenant_config;
GRANT SELECT, INSERT, UPDATE, DELETE ON jwt_issuers TO obc_tenant_config;
