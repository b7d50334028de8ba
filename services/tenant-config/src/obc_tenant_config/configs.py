"""The versions of tenants' rules: read, changed, taken back. A version, once made, never changes."""

from __future__ import annotations

from obc_common.clock import Clock
from obc_common.errors import Aborted, InvalidArgument, NotFound
from obc_common.postgres import Connection
from obc_tenant_config.access import tenant_not_found
from obc_tenant_config.analytics_config import AnalyticsConfig, ConfigPatch, ConfigVersion, apply_patch
from obc_tenant_config.changes import Changes
from obc_tenant_config.database import Database
from obc_tenant_config.model import Reach
from obc_tenant_config.paging import Page, Pager
from obc_tenant_config.store import config_rows


class Configs:
    """What can be done with rules.

    Args:
        database: where they are.
        changes: records what is done.
        clock: time.
        page_secret: signs page tokens.
    """

    def __init__(self, database: Database, changes: Changes, clock: Clock, page_secret: str) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock
        self._page_secret = page_secret

    async def get(self, reach: Reach, version: int) -> ConfigVersion:
        """One version; 0 = the newest.

        Raises:
            NotFound: TENANT_NOT_FOUND or VERSION_NOT_FOUND.
        """
        async with self._database.transaction(reach, readonly=True) as connection:
            newest = await _newest(connection, reach)
            return newest if version == 0 else await _version(connection, reach, version)

    async def list(self, reach: Reach, page_size: int, page_token: str) -> Page[ConfigVersion]:
        """A page of versions, newest first. Raises NotFound(TENANT_NOT_FOUND)."""
        pager = Pager(self._page_secret, f"ListConfigVersions/{reach.tenant_id}", page_size, page_token)
        async with self._database.transaction(reach, readonly=True) as connection:
            await _newest(connection, reach)
            rows = await config_rows.list_versions_before(connection, reach.tenant_id, pager.position, pager.limit)
        return pager.page(rows, lambda version: version.version)

    async def update(self, reach: Reach, patch: ConfigPatch, expected_version: int) -> ConfigVersion:
        """Makes a new version of the newest one and a patch.

        Args:
            reach: the tenant, and who asks.
            patch: changes.
            expected_version: the version that the caller has seen; 0 = any.

        Raises:
            InvalidArgument: EMPTY_PATCH or BAD_CONFIG, naming the field.
            Aborted: VERSION_CONFLICT, somebody made another version in between.
            NotFound: TENANT_NOT_FOUND.
        """
        async with self._database.transaction(reach) as connection:
            await self._changes.begin(connection, reach.chain)
            newest = await _newest(connection, reach)
            if expected_version not in (0, newest.version):
                raise Aborted(
                    "VERSION_CONFLICT",
                    f"the newest version is {newest.version}",
                    field="expected_version",
                    metadata={"version": str(newest.version)},
                )
            config = apply_patch(newest.config, patch)
            return await self._append(connection, reach, newest, config, "config.update", {"changes": _jsonable(patch)})

    async def revert(self, reach: Reach, version: int) -> ConfigVersion:
        """Makes a new version with the content of an earlier one.

        Raises:
            NotFound: TENANT_NOT_FOUND or VERSION_NOT_FOUND.
            InvalidArgument: BAD_VERSION.
        """
        async with self._database.transaction(reach) as connection:
            await self._changes.begin(connection, reach.chain)
            newest = await _newest(connection, reach)
            earlier = await _version(connection, reach, version)
            return await self._append(
                connection, reach, newest, earlier.config, "config.revert", {"to_version": version}
            )

    async def _append(
        self,
        connection: Connection,
        reach: Reach,
        newest: ConfigVersion,
        config: AnalyticsConfig,
        action: str,
        details: dict[str, object],
    ) -> ConfigVersion:
        version = ConfigVersion(reach.tenant_id, newest.version + 1, config, self._clock.now_ms(), reach.actor.name)
        await config_rows.insert_version(connection, version)
        await self._changes.record(
            connection,
            chain=reach.chain,
            actor=reach.actor,
            action=action,
            target=f"version {version.version}",
            details=details,
            announce="tenant",
        )
        return version


async def _newest(connection: Connection, reach: Reach) -> ConfigVersion:
    newest = await config_rows.find_newest_version(connection, reach.tenant_id)
    if newest is None:
        raise tenant_not_found()
    return newest


async def _version(connection: Connection, reach: Reach, number: int) -> ConfigVersion:
    if number < 1:
        raise InvalidArgument("BAD_VERSION", "versions count from 1", field="version")
    version = await config_rows.find_version(connection, reach.tenant_id, number)
    if version is None:
        raise NotFound("VERSION_NOT_FOUND", "there is no such version", metadata={"version": str(number)})
    return version


def _jsonable(patch: ConfigPatch) -> dict[str, object]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in patch.changes().items()}
