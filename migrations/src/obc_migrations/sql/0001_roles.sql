-- One role per kind of process. They may log in as themselves (give them a password), or a login user that is a member
-- takes the role at connect (ANALYTICS_DATABASE_ROLE). None of them owns a table.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['obc_ingest', 'obc_query', 'obc_projector', 'obc_tenant_config', 'obc_worker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT', role_name);
        END IF;
        EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
    END LOOP;
END
$$;

-- COPY FROM is refused under row-level security, so ingest bypasses it; it may insert and can read no event.
ALTER ROLE obc_ingest BYPASSRLS;
-- A global edit of these must not weaken an acknowledgement.
ALTER ROLE obc_ingest SET synchronous_commit = on;
ALTER ROLE obc_ingest SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE obc_ingest SET statement_timeout = '30s';
ALTER ROLE obc_query SET default_transaction_read_only = on;
ALTER ROLE obc_query SET statement_timeout = '15s';
ALTER ROLE obc_query SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE obc_projector SET default_transaction_read_only = on;
ALTER ROLE obc_projector SET idle_in_transaction_session_timeout = '120s';
ALTER ROLE obc_tenant_config SET statement_timeout = '15s';
ALTER ROLE obc_tenant_config SET idle_in_transaction_session_timeout = '30s';

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO obc_ingest, obc_query, obc_projector, obc_tenant_config, obc_worker;
