"""What PostgreSQL itself holds apart, whatever a service is made to do (roles, row-level security, partitions)."""

import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from obc_common.postgres import create_pool, tenant_transaction
from tests.support.databases import run_apart
from tests.support.stored_events import Stored, insert_events
from tests.support.tenant_config import connected

NOW = 1_760_000_000_000
OWN, OTHER = str(uuid.uuid4()), str(uuid.uuid4())
READERS = ("obc_query", "obc_projector")

_APP_ROLES = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'obc\\_%'"
_PARTITIONS = "SELECT oid::regclass::text FROM pg_class WHERE relispartition AND relkind IN ('r', 'p')"
_TENANT_TABLES = """
SELECT c.oid::regclass::text AS name, relrowsecurity AND relforcerowsecurity AS forced
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
"""
# Nobody who answers a tenant reads these: ingest's ledger, salts and quotas, TenantConfig's change feed and issuers.
_WITHOUT_POLICY = {"event_ids", "hash_salts", "event_quota_use", "config_changes", "jwt_issuers"}


@pytest.fixture(scope="module")
def filled(module_database: str) -> str:
    """A database with an event and a bad row of two tenants."""

    async def fill() -> None:
        for tenant_id in (OWN, OTHER):
            await insert_events(module_database, tenant_id, [Stored(NOW)])
        async with connected(module_database) as owner:
            await owner.execute(
                """INSERT INTO bad_rows (tenant_id, received_at, code, field, message, sdk, event_id, body, truncated)
                   SELECT t, now(), 'c', '', '', '', '', '', false FROM unnest($1::uuid[]) t""",
                [OWN, OTHER],
            )

    run_apart(fill())
    return module_database


@pytest.fixture
async def owner(filled: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """The superuser."""
    async with connected(filled) as connection:
        yield connection


async def test_app_roles_are_ordinary_and_own_nothing(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    roles = await owner.fetch("SELECT * FROM pg_roles WHERE rolname LIKE 'obc\\_%'")
    assert {role["rolname"] for role in roles} >= {"obc_ingest", "obc_query", "obc_projector", "obc_tenant_config"}
    for role in roles:
        assert not (role["rolsuper"] or role["rolcreaterole"] or role["rolcreatedb"] or role["rolreplication"])
        # COPY needs it, and its holder can read no event: see below.
        assert role["rolbypassrls"] == (role["rolname"] == "obc_ingest")
    # The owner of a schema of its own is no owner of anybody's events.
    owned = await owner.fetch(
        f"""SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
            AND relowner IN (SELECT oid FROM pg_roles WHERE rolname IN ({_APP_ROLES}))"""
    )
    assert owned == []


async def test_no_app_role_inherits_from_another(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    members = await owner.fetch(
        f"""SELECT m.roleid::regrole::text, r.rolname, r.rolinherit AND m.inherit_option, m.admin_option
            FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname IN ({_APP_ROLES})"""
    )
    # Ingest replays bad rows as a role that row-level security holds; it has to take it and inherits nothing.
    assert [tuple(member) for member in members] == [("obc_replay", "obc_ingest", False, False)]


async def test_no_app_role_has_any_right_on_any_partition(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    partitions = await owner.fetchval(f"SELECT count(*) FROM ({_PARTITIONS}) p")
    rights = await owner.fetch(
        f"""SELECT role.rolname, part.name, verb FROM ({_APP_ROLES}) role, ({_PARTITIONS}) AS part (name),
                unnest('{{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}}'::text[]) verb
            WHERE has_table_privilege(role.rolname, part.name, verb)
               OR verb = 'SELECT' AND has_any_column_privilege(role.rolname, part.name, verb)"""
    )
    assert partitions > 8
    assert rights == []


async def test_nobody_has_rights_through_public(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    grants = await owner.fetch(
        """SELECT c.relname FROM pg_class c, aclexplode(c.relacl) acl
           WHERE acl.grantee = 0 AND c.relnamespace = 'public'::regnamespace"""
    )
    functions = await owner.fetch(
        """SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
           AND has_function_privilege('public', oid, 'EXECUTE')"""
    )
    assert (grants, functions) == ([], [])


async def test_every_table_of_tenants_forces_row_security(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    tables = {row["name"]: row["forced"] for row in await owner.fetch(_TENANT_TABLES)}
    assert {"analytics_events", "bad_rows", "tenant_configs", "api_keys", "audit_log"} <= set(tables)
    assert {name for name, forced in tables.items() if not forced} == _WITHOUT_POLICY & set(tables)
    # Whoever may read a table that has no policy is not the one who answers tenants.
    for table in _WITHOUT_POLICY & set(tables):
        assert not await owner.fetchval("SELECT has_table_privilege('obc_query', $1, 'SELECT')", table)


async def test_security_definer_functions_pin_their_search_path(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    loose = await owner.fetch(
        """SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace::regnamespace::text NOT LIKE 'pg\\_%'
           AND NOT EXISTS (SELECT FROM unnest(proconfig) setting WHERE setting LIKE 'search_path=%')"""
    )
    assert loose == []


@pytest.mark.parametrize("role", ["obc_ingest", "obc_query", "obc_projector", "obc_tenant_config", "obc_worker"])
@pytest.mark.parametrize("partition", ["analytics_events_y2025m10", "analytics_events_y2025m10_shared", "event_ids_p0"])
async def test_a_partition_cannot_be_read_directly(filled: str, role: str, partition: str) -> None:
    async with connected(filled, role) as connection:
        await connection.execute("SELECT set_config('app.tenant_id', $1, false)", OWN)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"SELECT * FROM {partition}")


@pytest.mark.parametrize("table", ["analytics_events", "bad_rows"])
async def test_query_without_a_tenant_sees_nothing(filled: str, table: str) -> None:
    async with connected(filled, "obc_query") as connection:
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
        await connection.execute("SELECT set_config('app.tenant_id', '', false)")
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
        # A scope that is another role's word means nothing here.
        await connection.execute("SELECT set_config('app.scope', 'all', false)")
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.parametrize("table", ["analytics_events", "bad_rows"])
async def test_query_sees_its_tenant_also_when_it_forgets_to_ask_for_it(filled: str, table: str) -> None:
    pool = await create_pool(filled, role="obc_query", name="test", max_size=1)
    async with pool:
        async with tenant_transaction(pool, OWN) as connection:
            assert {str(row[0]) for row in await connection.fetch(f"SELECT tenant_id FROM {table}")} == {OWN}
        # The next user of the connection starts without a tenant.
        async with pool.acquire() as bare:
            assert await bare.fetchval(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.parametrize("role", READERS)
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO analytics_events SELECT * FROM analytics_events",
        "UPDATE analytics_events SET event_name = 'x'",
        "DELETE FROM analytics_events",
        "TRUNCATE analytics_events",
        "CREATE TABLE x (y int)",
        "SELECT * FROM event_ids",
        "SELECT * FROM hash_salts",
        "SELECT * FROM api_keys",
        "SELECT * FROM tenants",
        "UPDATE saved_versions SET name = 'x'",
        "UPDATE saved_items SET tenant_id = gen_random_uuid()",
        "UPDATE saved_items SET created_by = 'x'",
        "UPDATE link_decisions SET decision = 'link'",
        "TRUNCATE link_decisions",
    ],
)
async def test_who_reads_events_only_reads_events(filled: str, role: str, statement: str) -> None:
    async with connected(filled, role) as connection:
        # Without the read-only default too: anybody may switch that off.
        await connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


@pytest.mark.parametrize("role", READERS)
async def test_who_reads_is_read_only_by_default(filled: str, role: str) -> None:
    pool = await create_pool(filled, role=role, name="test", max_size=1)
    async with pool:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await pool.execute("DELETE FROM analytics_events")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT properties FROM analytics_events",
        "SELECT event_id FROM analytics_events",
        "SELECT count(*) FROM analytics_events",
        "SELECT body FROM bad_rows",
        "SELECT received_day FROM event_ids",
        "INSERT INTO analytics_events SELECT * FROM analytics_events",
        "INSERT INTO event_ids VALUES (gen_random_uuid(), gen_random_uuid(), now(), 1) RETURNING received_day",
        "UPDATE event_ids SET fingerprint = 0",
        "DELETE FROM event_ids",
        "DELETE FROM analytics_events",
        "SELECT * FROM api_keys",
        "SELECT * FROM tenant_configs",
        "SELECT obc_give_own_partition(gen_random_uuid())",
        "COPY analytics_events TO STDOUT",
    ],
)
async def test_ingest_can_write_and_cannot_read_what_it_wrote(filled: str, statement: str) -> None:
    async with connected(filled, "obc_ingest") as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_copy_into_a_table_under_row_security_is_refused(
    filled: str, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """Why the ingest role bypasses row security: without that there is no COPY."""
    await owner.execute("ALTER ROLE obc_ingest NOBYPASSRLS")
    try:
        async with connected(filled, "obc_ingest") as connection:
            with pytest.raises(asyncpg.FeatureNotSupportedError):
                await connection.copy_records_to_table("analytics_events", records=[(OWN,)], columns=["tenant_id"])
    finally:
        await owner.execute("ALTER ROLE obc_ingest BYPASSRLS")


async def test_a_guessed_id_of_another_tenant_suppresses_nothing(filled: str) -> None:
    event_id = uuid.uuid4()
    async with connected(filled, "obc_ingest") as connection:
        for tenant_id in (OWN, OTHER):
            status = await connection.execute(
                "INSERT INTO event_ids VALUES ($1, $2, now(), 1) ON CONFLICT DO NOTHING", tenant_id, event_id
            )
            assert status == "INSERT 0 1"
