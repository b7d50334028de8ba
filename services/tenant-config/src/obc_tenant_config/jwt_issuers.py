"""Trusted issuers of JSON Web Tokens: kept by operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, get_args

from obc_common.clock import Clock
from obc_common.errors import InvalidArgument, NotFound
from obc_common.ids import uuid7
from obc_common.jwks import is_allowed_jwks_url
from obc_common.postgres import Connection
from obc_common.tenant_state import JwtAlgorithm, JwtIssuer
from obc_tenant_config.access import canonical_tenant_id, tenant_not_found
from obc_tenant_config.changes import Changes
from obc_tenant_config.database import Database
from obc_tenant_config.identifiers import is_uuid
from obc_tenant_config.model import OPERATORS_CHAIN, Reach, StoredIssuer
from obc_tenant_config.store import issuer_rows, tenant_rows

_MAX_CHARS: Final = 500


class JwtIssuers:
    """What can be done with issuers.

    Args:
        database: where they are.
        changes: records what is done.
        clock: time.
    """

    def __init__(self, database: Database, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock

    async def put(self, reach: Reach, issuer: JwtIssuer) -> StoredIssuer:
        """Adds an issuer, or replaces the one of the same `iss`.

        Raises:
            InvalidArgument: BAD_ISSUER, naming the field; BAD_TENANT_ID.
            NotFound: TENANT_NOT_FOUND.
        """
        checked = checked_issuer(issuer)
        async with self._database.transaction(reach) as connection:
            await self._changes.begin(connection, OPERATORS_CHAIN)
            if checked.tenant_id and await tenant_rows.find_tenant(connection, checked.tenant_id) is None:
                raise tenant_not_found()
            stored = await issuer_rows.put_issuer(connection, str(uuid7(self._clock.now_ms())), checked)
            await self._record(connection, reach, "jwt_issuer.put", stored)
        return stored

    async def list(self, reach: Reach) -> list[StoredIssuer]:
        """All issuers."""
        async with self._database.transaction(reach, readonly=True) as connection:
            return await issuer_rows.list_issuers(connection)

    async def delete(self, reach: Reach, issuer_id: str) -> None:
        """Stops trusting an issuer. Raises NotFound(ISSUER_NOT_FOUND)."""
        async with self._database.transaction(reach) as connection:
            await self._changes.begin(connection, OPERATORS_CHAIN)
            deleted = await issuer_rows.delete_issuer(connection, issuer_id) if is_uuid(issuer_id) else None
            if deleted is None:
                raise NotFound("ISSUER_NOT_FOUND", "there is no such issuer")
            await self._record(connection, reach, "jwt_issuer.delete", deleted)

    async def _record(self, connection: Connection, reach: Reach, action: str, stored: StoredIssuer) -> None:
        await self._changes.record(
            connection,
            chain=OPERATORS_CHAIN,
            actor=reach.actor,
            action=action,
            target=stored.issuer_id,
            details={
                "issuer": stored.issuer.issuer,
                "audience": stored.issuer.audience,
                "jwks_url": stored.issuer.jwks_url,
                "algorithm": stored.issuer.algorithm,
                "tenant_id": stored.issuer.tenant_id,
            },
            announce="issuers",
        )


def checked_issuer(issuer: JwtIssuer) -> JwtIssuer:
    """An issuer with its defaults filled in and its tenant in canonical form. Raises InvalidArgument."""
    for name in ("issuer", "audience"):
        _require(bool(getattr(issuer, name)), name, "is needed")
    for name in ("issuer", "audience", "jwks_url", "tenant_claim", "scopes_claim"):
        value: str = getattr(issuer, name)
        _require(
            len(value) <= _MAX_CHARS and value.isprintable(), name, f"must be at most {_MAX_CHARS} printable characters"
        )
    _require(is_allowed_jwks_url(issuer.jwks_url), "jwks_url", "must be an https URL (http only on loopback)")
    _require(
        issuer.algorithm in get_args(JwtAlgorithm), "algorithm", f"must be one of {', '.join(get_args(JwtAlgorithm))}"
    )
    return replace(
        issuer,
        tenant_claim=issuer.tenant_claim or "tenant_id",
        scopes_claim=issuer.scopes_claim or "scope",
        tenant_id=canonical_tenant_id(issuer.tenant_id) if issuer.tenant_id else "",
    )


def _require(condition: bool, field: str, what: str) -> None:
    if not condition:
        raise InvalidArgument("BAD_ISSUER", f"{field} {what}", field=f"issuer.{field}")
