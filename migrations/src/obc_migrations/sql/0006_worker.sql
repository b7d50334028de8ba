-- What the worker needs: leases and dead letters of its own, and the only ways in which it may remove anything. It owns
-- no table, reads no event, and cannot name a row to be deleted: every function below decides by itself, from the tenants'
-- own rules and the database's clock, what is old enough. A wrong argument removes less or nothing, never more.

-- One row per job and shard. `fence_token` grows with every claim; whoever holds an older one can change nothing any more.
CREATE TABLE obc_jobs.leases (
    job             text        NOT NULL,
    shard           text        NOT NULL,
    owner           text        NOT NULL DEFAULT '',
    lease_until     timestamptz NOT NULL DEFAULT '-infinity',
    fence_token     bigint      NOT NULL DEFAULT 0,
    attempts        integer     NOT NULL DEFAULT 0, -- begun since the last success; counted before the work
    not_before      timestamptz NOT NULL DEFAULT '-infinity',
    known_since     timestamptz NOT NULL DEFAULT now(),
    last_success_at timestamptz,
    last_error      text        NOT NULL DEFAULT '',
    progress        text        NOT NULL DEFAULT '', -- where a long job goes on
    PRIMARY KEY (job, shard)
);

CREATE TABLE obc_jobs.dead_letters (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job         text        NOT NULL,
    shard       text        NOT NULL,
    attempts    integer     NOT NULL,
    error       text        NOT NULL,
    died_at     timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz -- a later run succeeded
);
CREATE INDEX dead_letters_open ON obc_jobs.dead_letters (job, shard) WHERE resolved_at IS NULL;

GRANT USAGE ON SCHEMA obc_jobs TO obc_worker;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON obc_jobs.pgqueuer, obc_jobs.pgqueuer_log, obc_jobs.pgqueuer_schedules, obc_jobs.pgqueuer_statistics TO obc_worker;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA obc_jobs TO obc_worker;
GRANT SELECT, INSERT, UPDATE ON obc_jobs.leases TO obc_worker;
GRANT SELECT, INSERT ON obc_jobs.dead_letters TO obc_worker;
GRANT UPDATE (resolved_at) ON obc_jobs.dead_letters TO obc_worker;

-- A worker that is paused inside a transaction must not hold its locks for long.
ALTER ROLE obc_worker SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE obc_worker SET statement_timeout = '20s';

-- The functions run as the owner, whom FORCE ROW LEVEL SECURITY binds too.
CREATE POLICY owner_reads ON tenant_configs FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_reads ON analytics_events FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_maintains ON bad_rows TO CURRENT_USER USING (true);

-- What is older than this may go. No moment in the future makes anything older, and a day is always kept. Null days
-- (hence STRICT) make null, than which nothing is older.
CREATE FUNCTION obc_cutoff(days integer, as_of timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog SET timezone = 'UTC' AS $$
    SELECT least(as_of, now()) - make_interval(days => greatest(days, 1))
$$;

-- Days that each tenant's events are kept, by its rules in force; null = its rules are missing, nothing of it may go.
CREATE FUNCTION obc_tenant_retention() RETURNS TABLE (tenant_id uuid, days integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT tenant.id, rules.days
    FROM public.tenants tenant
    LEFT JOIN LATERAL (
        SELECT (version.config ->> 'retention_days')::integer AS days
        FROM public.tenant_configs version WHERE version.tenant_id = tenant.id
        ORDER BY version.version DESC LIMIT 1
    ) rules ON true
$$;

-- The month partitions as obc_ensure_partitions makes them; anything else that hangs there is nobody's business here.
CREATE FUNCTION obc_month_partitions() RETURNS TABLE (month_name text, month_start timestamptz, month_end timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, public SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
    SELECT month.relname::text, bounds.month_start, bounds.month_end
    FROM pg_inherits
    JOIN pg_class month ON month.oid = pg_inherits.inhrelid
    CROSS JOIN LATERAL regexp_match(month.relname, '^analytics_events_y(\d{4})m(\d{2})$') AS digits
    CROSS JOIN LATERAL make_timestamptz(digits[1]::integer, digits[2]::integer, 1, 0, 0, 0, 'UTC') AS first_moment
    CROSS JOIN LATERAL (SELECT first_moment AS month_start, first_moment + interval '1 month' AS month_end) AS bounds
    WHERE pg_inherits.inhparent = 'public.analytics_events'::regclass AND NOT pg_inherits.inhdetachpending
      AND pg_get_expr(month.relpartbound, month.oid) =
          format('FOR VALUES FROM (%L) TO (%L)', bounds.month_start, bounds.month_end)
$$;

-- True when a month is older than the retention of one tenant, or (null) of every tenant there is.
CREATE FUNCTION obc_month_is_expired(month_end timestamptz, only_tenant uuid, as_of timestamptz) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT coalesce(bool_and(days IS NOT NULL AND month_end <= obc_cutoff(days, as_of)), false)
    FROM obc_tenant_retention() WHERE only_tenant IS NULL OR tenant_id = only_tenant
$$;

-- Whole partitions that may be dropped: months (tenant null), and single tenants' own partitions.
CREATE FUNCTION obc_expired_partitions(as_of timestamptz) RETURNS TABLE (month_name text, tenant_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT month.month_name, NULL::uuid FROM obc_month_partitions() month
    WHERE obc_month_is_expired(month.month_end, NULL, as_of)
    UNION ALL
    SELECT month.month_name, tenant.tenant_id
    FROM obc_month_partitions() month CROSS JOIN obc_tenant_retention() tenant
    WHERE tenant.days IS NOT NULL AND month.month_end <= obc_cutoff(tenant.days, as_of)
      AND to_regclass('public.' || month.month_name || '_t_' || replace(tenant.tenant_id::text, '-', '')) IS NOT NULL
      AND NOT obc_month_is_expired(month.month_end, NULL, as_of)
    ORDER BY 1, 2
$$;

-- Drops a month, or one tenant's own partition of it, if it is as old as it must be. False = it is not, or it is gone.
-- Waits a second at most for the table: who waits for a lock as strong as this holds up every insert behind him.
CREATE FUNCTION obc_drop_expired_partition(month_name text, only_tenant uuid, as_of timestamptz) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public SET timezone = 'UTC' SET lock_timeout = '1s' AS $$
DECLARE
    month record;
    doomed text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('obc_ensure_partitions'));
    SELECT * INTO month FROM obc_month_partitions() known WHERE known.month_name = obc_drop_expired_partition.month_name;
    IF NOT FOUND OR NOT obc_month_is_expired(month.month_end, only_tenant, as_of) THEN
        RETURN false;
    END IF;
    doomed := month.month_name;
    IF only_tenant IS NOT NULL THEN
        doomed := doomed || '_t_' || replace(only_tenant::text, '-', '');
        IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass('public.' || doomed)
                       AND inhparent = to_regclass('public.' || month.month_name)) THEN
            RETURN false;
        END IF;
    END IF;
    EXECUTE format('DROP TABLE public.%I', doomed);
    RETURN true;
END
$$;

-- Tenants that have an event older than they may keep.
CREATE FUNCTION obc_tenants_with_expired_events(as_of timestamptz) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT tenant.tenant_id FROM obc_tenant_retention() tenant
    WHERE tenant.days IS NOT NULL AND EXISTS (
        SELECT FROM public.analytics_events event
        WHERE event.tenant_id = tenant.tenant_id AND event.event_time < obc_cutoff(tenant.days, as_of)
    )
$$;

-- Deletes up to `most` of a tenant's expired events, of the oldest months first; how many.
CREATE FUNCTION obc_delete_expired_events(tenant uuid, as_of timestamptz, most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET timezone = 'UTC' AS $$
DECLARE
    cutoff  timestamptz;
    month   record;
    leaf    text;
    step    bigint;
    removed bigint := 0;
BEGIN
    SELECT obc_cutoff(days, as_of) INTO cutoff FROM obc_tenant_retention() WHERE tenant_id = tenant AND days IS NOT NULL;
    IF cutoff IS NULL THEN
        RETURN 0;
    END IF;
    FOR month IN SELECT * FROM obc_month_partitions() WHERE month_start < cutoff ORDER BY month_start LOOP
        leaf := month.month_name || '_t_' || replace(tenant::text, '-', '');
        IF to_regclass('public.' || leaf) IS NULL THEN
            leaf := month.month_name || '_shared';
        END IF;
        EXECUTE format('DELETE FROM public.%I WHERE ctid = ANY (ARRAY(SELECT ctid FROM public.%I '
                       'WHERE tenant_id = $1 AND event_time < $2 LIMIT $3))', leaf, leaf)
            USING tenant, cutoff, least(most, 50000) - removed;
        GET DIAGNOSTICS step = ROW_COUNT;
        removed := removed + step;
        EXIT WHEN removed >= least(most, 50000);
    END LOOP;
    RETURN removed;
END
$$;

-- Forgets event ids of a stretch of one ledger partition that were received before a day; a week is always remembered.
-- A stretch of blocks, since an index on the day would cost every insert. `next_block` is null after the last stretch.
CREATE FUNCTION obc_purge_event_ids(part integer, from_block bigint, blocks integer, older_than date)
    RETURNS TABLE (removed bigint, next_block bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET timezone = 'UTC' AS $$
DECLARE
    stretch bigint := greatest(1, least(blocks, 8192));
    ledger  text := 'event_ids_p' || part;
BEGIN
    IF part NOT BETWEEN 0 AND 7 OR from_block < 0 THEN
        RAISE EXCEPTION 'no such part of the ledger' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('DELETE FROM public.%I WHERE ctid >= %L::tid AND ctid < %L::tid AND received_day < $1',
                   ledger, format('(%s,0)', from_block), format('(%s,0)', from_block + stretch))
        USING least(older_than, current_date - 7);
    GET DIAGNOSTICS removed = ROW_COUNT;
    next_block := from_block + stretch;
    IF next_block >= pg_relation_size(('public.' || ledger)::regclass) / current_setting('block_size')::bigint THEN
        next_block := NULL;
    END IF;
    RETURN NEXT;
END
$$;

-- Bad rows are kept some days, and never longer than their tenant's events.
CREATE FUNCTION obc_tenants_with_expired_bad_rows(keep_days integer, as_of timestamptz) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT tenant.tenant_id FROM obc_tenant_retention() tenant
    WHERE EXISTS (
        SELECT FROM public.bad_rows bad WHERE bad.tenant_id = tenant.tenant_id
          AND bad.received_at < obc_cutoff(least(keep_days, tenant.days), as_of)
    )
$$;

CREATE FUNCTION obc_delete_expired_bad_rows(tenant uuid, keep_days integer, as_of timestamptz, most integer) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH gone AS (
        DELETE FROM public.bad_rows WHERE id = ANY (ARRAY(
            SELECT bad.id FROM public.bad_rows bad, obc_tenant_retention() kept
            WHERE kept.tenant_id = tenant AND bad.tenant_id = tenant
              AND bad.received_at < obc_cutoff(least(keep_days, kept.days), as_of)
            LIMIT least(most, 50000)))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

-- Only from the oldest on, so that whoever follows can tell by the oldest one left whether he has missed any.
CREATE FUNCTION obc_prune_config_changes(as_of timestamptz, most integer) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH gone AS (
        DELETE FROM public.config_changes WHERE revision = ANY (ARRAY(
            SELECT revision FROM public.config_changes
            WHERE revision < least(
                (SELECT max(revision) FROM public.config_changes),
                (SELECT min(revision) FROM public.config_changes WHERE at >= obc_cutoff(1, as_of)))
            ORDER BY revision LIMIT least(most, 50000)))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

REVOKE ALL ON FUNCTION
    obc_tenant_retention(), obc_month_partitions(), obc_month_is_expired(timestamptz, uuid, timestamptz),
    obc_expired_partitions(timestamptz), obc_drop_expired_partition(text, uuid, timestamptz),
    obc_tenants_with_expired_events(timestamptz), obc_delete_expired_events(uuid, timestamptz, integer),
    obc_purge_event_ids(integer, bigint, integer, date),
    obc_tenants_with_expired_bad_rows(integer, timestamptz),
    obc_delete_expired_bad_rows(uuid, integer, timestamptz, integer),
    obc_prune_config_changes(timestamptz, integer)
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    obc_expired_partitions(timestamptz), obc_drop_expired_partition(text, uuid, timestamptz),
    obc_tenants_with_expired_events(timestamptz), obc_delete_expired_events(uuid, timestamptz, integer),
    obc_purge_event_ids(integer, bigint, integer, date),
    obc_tenants_with_expired_bad_rows(integer, timestamptz),
    obc_delete_expired_bad_rows(uuid, integer, timestamptz, integer),
    obc_prune_config_changes(timestamptz, integer)
TO obc_worker;
