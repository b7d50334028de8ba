"""What PostgreSQL itself holds apart, with the service's own role and without the service's own checks."""

import asyncpg
import pytest

from obc_common.postgres import all_tenants_transaction, create_pool, tenant_transaction
from tests.support.tenant_config import TenantConfig, connected

ROLE = "obc_tenant_config"
TABLES = ("tenants", "tenant_configs", "api_keys", "audit_log")


@pytest.mark.parametrize("table", TABLES)
async def test_without_a_tenant_no_row_is_seen(service: TenantConfig, table: str) -> None:
    await service.make_key(await service.make_tenant())
    async with connected(service.dsn, ROLE) as connection:
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
        await connection.execute("SELECT set_config('app.tenant_id', '', false)")
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.parametrize("table", TABLES)
async def test_a_tenant_sees_its_own_rows_only(service: TenantConfig, table: str) -> None:
    own, other = await service.make_tenant("Own"), await service.make_tenant("Other")
    await service.make_key(own)
    await service.make_key(other)
    column = "id" if table == "tenants" else "tenant_id"
    pool = await create_pool(service.dsn, role=ROLE, name="test", max_size=1)
    async with pool:
        async with tenant_transaction(pool, own) as connection:
            seen = {str(row[0]) for row in await connection.fetch(f"SELECT {column} FROM {table}")}
        async with all_tenants_transaction(pool) as connection:
            all_seen = {str(row[0]) for row in await connection.fetch(f"SELECT {column} FROM {table}")}
        # The same connection again: neither setting outlived its transaction.
        async with pool.acquire() as bare:
            assert await bare.fetchval(f"SELECT count(*) FROM {table}") == 0
    assert seen == {own}
    assert {own, other} <= all_seen


async def test_a_tenant_cannot_write_rows_of_another(service: TenantConfig) -> None:
    own, other = await service.make_tenant("Own"), await service.make_tenant("Other")
    pool = await create_pool(service.dsn, role=ROLE, name="test", max_size=1)
    async with pool:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with tenant_transaction(pool, own) as connection:
                await connection.execute(
                    "INSERT INTO tenant_configs (tenant_id, version, config, created_by) VALUES ($1, 99, '{}', 'x')",
                    other,
                )
        async with tenant_transaction(pool, own) as connection:
            assert await connection.execute("UPDATE api_keys SET revoked_at = now()") == "UPDATE 0"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "DELETE FROM api_keys",
        "UPDATE api_keys SET scopes = '{admin}'",
        "UPDATE api_keys SET sha256 = ''",
        "UPDATE tenant_configs SET version = 7",
        "DELETE FROM tenants",
        "UPDATE config_changes SET kind = 'tenant'",
        "SELECT * FROM analytics_events",
        "SELECT * FROM bad_rows",
        "SELECT * FROM hash_salts",
    ],
)
async def test_the_role_cannot_do_what_the_service_never_does(service: TenantConfig, statement: str) -> None:
    async with connected(service.dsn, ROLE) as connection:
        await connection.execute("SELECT set_config('app.scope', 'all', false)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
