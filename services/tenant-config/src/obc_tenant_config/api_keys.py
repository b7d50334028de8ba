"""Keys: made, listed, rotated, revoked. The text of a secret one leaves here once and is stored nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from obc_common.clock import Clock
from obc_common.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from obc_common.ids import uuid7
from obc_common.keys import generate_key, key_hint, key_kind, key_sha256
from obc_common.logs import get_logger
from obc_common.postgres import Connection
from obc_tenant_config.access import tenant_not_found
from obc_tenant_config.changes import Changes
from obc_tenant_config.database import Database
from obc_tenant_config.identifiers import is_uuid
from obc_tenant_config.key_rules import checked_expiry, checked_kind, checked_origins, checked_overlap, checked_scopes
from obc_tenant_config.model import OPERATORS_CHAIN, SYSTEM_ACTOR, Actor, ApiKey, Reach, TenantView
from obc_tenant_config.names import checked_name
from obc_tenant_config.paging import Page, Pager
from obc_tenant_config.store import key_rows, tenant_rows
from obc_tenant_config.store.tenant_view_rows import load_tenant_views

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as asked for."""

    kind: str
    name: str
    scopes: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    expires_at_ms: int = 0


class ApiKeys:
    """What can be done with keys.

    Args:
        database: where they are.
        changes: records what is done.
        clock: time.
        page_secret: signs page tokens.
        most_live_keys: bound per tenant (and for operators): every process holds all live keys in memory.
    """

    def __init__(
        self, database: Database, changes: Changes, clock: Clock, page_secret: str, most_live_keys: int
    ) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock
        self._page_secret = page_secret
        self._most_live_keys = most_live_keys

    async def create(self, reach: Reach, new: NewKey) -> tuple[ApiKey, str]:
        """Makes a key and answers it with its text.

        Args:
            reach: the tenant; for an operator key what an operator reaches without naming one.
            new: what it shall be.

        Raises:
            InvalidArgument: naming the field that is wrong.
            PermissionDenied: OPERATOR_ONLY, for an operator key.
            NotFound: TENANT_NOT_FOUND.
            FailedPrecondition: TOO_MANY_KEYS.
        """
        now = self._clock.now_ms()
        kind = checked_kind(new.kind)
        if kind == "operator":
            if reach.confined:
                raise PermissionDenied("OPERATOR_ONLY", "only an operator may make an operator key")
            reach = replace(reach, tenant_id="")
        elif not reach.tenant_id:
            raise InvalidArgument("TENANT_ID_REQUIRED", "an operator must name the tenant", field="tenant_id")
        text = generate_key(kind)
        key = ApiKey(
            key_id=str(uuid7(now)),
            tenant_id=reach.tenant_id,
            kind=kind,
            name=checked_name(new.name, required=False),
            hint=key_hint(text),
            sha256=key_sha256(text),
            scopes=checked_scopes(kind, new.scopes),
            allowed_origins=checked_origins(kind, new.allowed_origins),
            created_at_ms=now,
            expires_at_ms=checked_expiry(new.expires_at_ms, now),
        )
        async with self._database.transaction(reach) as connection:
            await self._changes.begin(connection, reach.chain)
            await self._require_tenant(connection, reach)
            await self._add(connection, reach, key)
            await self._record(connection, reach, "key.create", key.key_id, _described(key))
        return key, text

    async def list(self, reach: Reach, page_size: int, page_token: str) -> Page[ApiKey]:
        """A page of keys, newest first, ended ones included. Raises NotFound(TENANT_NOT_FOUND)."""
        pager = Pager(self._page_secret, f"ListKeys/{reach.tenant_id}", page_size, page_token)
        async with self._database.transaction(reach, readonly=True) as connection:
            await self._require_tenant(connection, reach)
            rows = await key_rows.list_keys_before(connection, reach.tenant_id, pager.position, pager.limit)
        return pager.page(rows, lambda key: key.key_id)

    async def rotate(self, reach: Reach, key_id: str, overlap_seconds: int) -> tuple[ApiKey, str]:
        """Makes a second key with the same rights and length of life; the first ends after the overlap.

        Raises:
            InvalidArgument: BAD_OVERLAP.
            NotFound: KEY_NOT_FOUND.
            FailedPrecondition: KEY_NOT_LIVE, or TOO_MANY_KEYS.
        """
        overlap_ms = checked_overlap(overlap_seconds) * 1000
        async with self._database.transaction(reach) as connection:
            await self._changes.begin(connection, reach.chain)
            old = await _find(connection, reach, key_id)
            now = self._clock.now_ms()
            if not old.is_live(now):
                raise FailedPrecondition("KEY_NOT_LIVE", "the key has ended; make a new one", field="key_id")
            text = generate_key(old.kind)
            new = replace(
                old,
                key_id=str(uuid7(now)),
                hint=key_hint(text),
                sha256=key_sha256(text),
                created_at_ms=now,
                expires_at_ms=now + old.expires_at_ms - old.created_at_ms if old.expires_at_ms else 0,
                last_used_at_ms=0,
            )
            ends_at = min(now + overlap_ms, old.expires_at_ms or now + overlap_ms)
            await self._add(connection, reach, new)
            await key_rows.set_expiry(connection, old.key_id, ends_at)
            details = {"new_key_id": new.key_id, "old_expires_at_ms": ends_at}
            await self._record(connection, reach, "key.rotate", old.key_id, details)
        return new, text

    async def revoke(self, reach: Reach, key_id: str) -> ApiKey:
        """Ends a key. A repeated call changes nothing. Raises NotFound(KEY_NOT_FOUND)."""
        async with self._database.transaction(reach) as connection:
            await self._changes.begin(connection, reach.chain)
            key = await _find(connection, reach, key_id)
            if key.revoked_at_ms:
                return key
            now = self._clock.now_ms()
            await key_rows.set_revoked(connection, key.key_id, now)
            await self._record(connection, reach, "key.revoke", key.key_id, {"kind": key.kind, "hint": key.hint})
        return replace(key, revoked_at_ms=now)

    async def resolve(self, sha256: bytes) -> tuple[ApiKey, TenantView | None]:
        """The live key with a fingerprint, and its tenant unless it is an operator's.

        Raises:
            InvalidArgument: BAD_SHA256.
            NotFound: KEY_NOT_FOUND.
        """
        if len(sha256) != 32:
            raise InvalidArgument("BAD_SHA256", "a fingerprint has 32 bytes", field="sha256")
        now = self._clock.now_ms()
        async with self._database.suite_transaction(readonly=True) as connection:
            key = await key_rows.find_key_by_sha256(connection, sha256)
            if key is None or not key.is_live(now):
                raise _key_not_found()
            if not key.tenant_id:
                return key, None
            [view] = await load_tenant_views(connection, [key.tenant_id], now)
            return key, view

    async def report_use(self, uses: Mapping[str, int]) -> None:
        """Notes when keys were last used (key id -> unix milliseconds). A clock that runs ahead is not believed."""
        now = self._clock.now_ms()
        believed = {key_id: min(at_ms, now) for key_id, at_ms in uses.items() if is_uuid(key_id) and at_ms > 0}
        if believed:
            async with self._database.suite_transaction() as connection:
                await key_rows.move_last_used_forward(connection, believed)

    async def make_sure_of_operator_key(self, text: str, name: str) -> None:
        """Stores an operator key whose text was chosen at deployment, unless it is there.

        Raises:
            InvalidArgument: BAD_OPERATOR_KEY, it is not the text of one.
        """
        if key_kind(text) != "operator":
            raise InvalidArgument("BAD_OPERATOR_KEY", "not the text of an operator key (ok_live_...)")
        reach = Reach("", confined=False, actor=Actor(SYSTEM_ACTOR))
        now = self._clock.now_ms()
        key = ApiKey(str(uuid7(now)), "", "operator", name, key_hint(text), key_sha256(text), (), (), now)
        async with self._database.transaction(reach) as connection:
            await self._changes.begin(connection, OPERATORS_CHAIN)
            existing = await key_rows.find_key_by_sha256(connection, key.sha256)
            if existing is not None:
                if not existing.is_live(now):
                    _log.warning("bootstrap_operator_key_has_ended", key_id=existing.key_id)
                return
            await self._add(connection, reach, key)
            await self._record(connection, reach, "key.create", key.key_id, _described(key))

    async def _add(self, connection: Connection, reach: Reach, key: ApiKey) -> None:
        live = await key_rows.count_live_keys(connection, reach.tenant_id, key.created_at_ms)
        if live >= self._most_live_keys:
            raise FailedPrecondition(
                "TOO_MANY_KEYS",
                f"there are {live} live keys; revoke one first",
                metadata={"limit": str(self._most_live_keys)},
            )
        await key_rows.insert_key(connection, key)

    async def _record(
        self, connection: Connection, reach: Reach, action: str, target: str, details: Mapping[str, object]
    ) -> None:
        await self._changes.record(
            connection,
            chain=reach.chain,
            actor=reach.actor,
            action=action,
            target=target,
            details=details,
            announce="tenant" if reach.tenant_id else "operator_keys",
        )

    async def _require_tenant(self, connection: Connection, reach: Reach) -> None:
        if reach.tenant_id and await tenant_rows.find_tenant(connection, reach.tenant_id) is None:
            raise tenant_not_found()


async def _find(connection: Connection, reach: Reach, key_id: str) -> ApiKey:
    key = await key_rows.find_key(connection, reach.tenant_id, key_id) if is_uuid(key_id) else None
    if key is None:
        raise _key_not_found()
    return key


def _key_not_found() -> NotFound:
    return NotFound("KEY_NOT_FOUND", "there is no such key")


def _described(key: ApiKey) -> dict[str, object]:
    return {
        "kind": key.kind,
        "name": key.name,
        "hint": key.hint,
        "scopes": list(key.scopes),
        "allowed_origins": list(key.allowed_origins),
        "expires_at_ms": key.expires_at_ms,
    }
