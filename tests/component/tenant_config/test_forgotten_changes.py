"""A copy that was away while changes were forgotten reads everything again."""

from obc_common.clock import SystemClock
from obc_tenant_config.app import build_domain, open_pool
from obc_tenant_config.config_state import ConfigState
from obc_tenant_config.watchers import Watchers
from tests.support.tenant_config import connected, running_tenant_config, tenant_config_settings


async def test_a_copy_that_missed_forgotten_changes_reads_everything(database: str) -> None:
    settings, clock = tenant_config_settings(database), SystemClock()
    async with running_tenant_config(database) as service, await open_pool(settings) as pool:
        domain = build_domain(settings, pool, clock)
        paused = ConfigState(domain.database, pool, domain.api_keys, Watchers(), clock)
        first = await service.make_tenant("First")
        await paused.catch_up()
        # Given changes that came and were forgotten while it was paused
        second = await service.make_tenant("Second")
        third = await service.make_tenant("Third")
        async with connected(database) as connection:
            await connection.execute(
                "DELETE FROM config_changes WHERE revision < (SELECT max(revision) FROM config_changes)"
            )
        # When it goes on
        await paused.catch_up()

        assert {first, second, third} <= set(paused.tenants)
