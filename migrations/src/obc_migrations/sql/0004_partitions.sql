-- Makes the month partitions that cover [first, last], each with its default and with one partition per tenant that has its own.
-- Safe to call at any time by many: one advisory lock, and ATTACH does not block running inserts.
CREATE FUNCTION obc_ensure_partitions(first timestamptz, last timestamptz) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET timezone = 'UTC' AS $$
DECLARE
    month_start timestamptz := date_trunc('month', first);
    month_name  text;
    tenant      uuid;
    made        integer := 0;
BEGIN
    IF first < '2000-01-01' OR last > now() + interval '1 year' OR last < first THEN
        RAISE EXCEPTION 'partition range out of bounds' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    WHILE month_start <= last LOOP
        month_name := to_char(month_start, '"analytics_events_y"YYYY"m"MM');
        IF to_regclass('public.' || month_name) IS NULL THEN
            PERFORM pg_advisory_xact_lock(hashtext('obc_ensure_partitions'));
            -- Asked of pg_class, not of to_regclass: that one remembers its first answer while it waits for the lock.
            IF NOT EXISTS (SELECT FROM pg_class WHERE relname = month_name AND relnamespace = 'public'::regnamespace) THEN
                EXECUTE format('CREATE TABLE public.%I (LIKE public.analytics_events INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY LIST (tenant_id)', month_name);
                EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I DEFAULT', month_name || '_shared', month_name);
                FOR tenant IN SELECT id FROM public.tenants WHERE own_partition LOOP
                    EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES IN (%L)',
                                   month_name || '_t_' || replace(tenant::text, '-', ''), month_name, tenant);
                END LOOP;
                EXECUTE format('ALTER TABLE public.analytics_events ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                               month_name, month_start, month_start + interval '1 month');
                made := made + 1;
            END IF;
        END IF;
        month_start := month_start + interval '1 month';
    END LOOP;
    RETURN made;
END
$$;

-- Gives a tenant a partition of its own in every month that exists, and moves its rows there. Rows keep their ingest_xid,
-- so the read model does not take them for new ones. Locks the shared partition of a month while it moves that month.
CREATE FUNCTION obc_give_own_partition(tenant uuid) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET timezone = 'UTC' AS $$
DECLARE
    month_name text;
    own_name   text;
    moved      bigint := 0;
    step       bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('obc_ensure_partitions'));
    UPDATE public.tenants SET own_partition = true WHERE id = tenant;
    FOR month_name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'public.analytics_events'::regclass ORDER BY c.relname
    LOOP
        own_name := month_name || '_t_' || replace(tenant::text, '-', '');
        CONTINUE WHEN to_regclass('public.' || own_name) IS NOT NULL;
        EXECUTE format('LOCK TABLE public.%I IN SHARE ROW EXCLUSIVE MODE', month_name || '_shared');
        EXECUTE format('CREATE TABLE public.%I (LIKE public.analytics_events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', own_name);
        EXECUTE format('WITH moved AS (DELETE FROM public.%I WHERE tenant_id = %L RETURNING *) INSERT INTO public.%I SELECT * FROM moved',
                       month_name || '_shared', tenant, own_name);
        GET DIAGNOSTICS step = ROW_COUNT;
        moved := moved + step;
        EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES IN (%L)', month_name, own_name, tenant);
    END LOOP;
    RETURN moved;
END
$$;

REVOKE ALL ON FUNCTION obc_ensure_partitions(timestamptz, timestamptz), obc_give_own_partition(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION obc_ensure_partitions(timestamptz, timestamptz) TO obc_ingest, obc_worker;
GRANT EXECUTE ON FUNCTION obc_give_own_partition(uuid) TO obc_tenant_config, obc_worker;
