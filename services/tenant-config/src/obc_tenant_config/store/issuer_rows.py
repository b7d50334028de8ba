"""The table `jwt_issuers`."""

from __future__ import annotations

import asyncpg

from obc_common.postgres import Connection
from obc_common.tenant_state import JwtIssuer
from obc_tenant_config.model import StoredIssuer


async def put_issuer(connection: Connection, issuer_id: str, issuer: JwtIssuer) -> StoredIssuer:
    """Adds an issuer, or replaces the one of the same `iss`, which keeps its id."""
    row = await connection.fetchrow(
        """INSERT INTO jwt_issuers
               (id, issuer, audience, jwks_url, algorithm, tenant_claim, scopes_claim, tenant_id)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
           ON CONFLICT (issuer) DO UPDATE SET
               audience = excluded.audience, jwks_url = excluded.jwks_url, algorithm = excluded.algorithm,
               tenant_claim = excluded.tenant_claim, scopes_claim = excluded.scopes_claim,
               tenant_id = excluded.tenant_id
           RETURNING *""",
        issuer_id,
        issuer.issuer,
        issuer.audience,
        issuer.jwks_url,
        issuer.algorithm,
        issuer.tenant_claim,
        issuer.scopes_claim,
        issuer.tenant_id or None,
    )
    assert row is not None  # DO UPDATE always returns the row
    return _issuer_of(row)


async def list_issuers(connection: Connection) -> list[StoredIssuer]:
    """All issuers."""
    return [_issuer_of(row) for row in await connection.fetch("SELECT * FROM jwt_issuers ORDER BY issuer")]


async def delete_issuer(connection: Connection, issuer_id: str) -> StoredIssuer | None:
    """Removes an issuer; None when there is none with this id."""
    row = await connection.fetchrow("DELETE FROM jwt_issuers WHERE id = $1 RETURNING *", issuer_id)
    return None if row is None else _issuer_of(row)


def _issuer_of(row: asyncpg.Record) -> StoredIssuer:
    return StoredIssuer(
        issuer_id=str(row["id"]),
        issuer=JwtIssuer(
            issuer=row["issuer"],
            audience=row["audience"],
            jwks_url=row["jwks_url"],
            algorithm=row["algorithm"],
            tenant_claim=row["tenant_claim"],
            scopes_claim=row["scopes_claim"],
            tenant_id="" if row["tenant_id"] is None else str(row["tenant_id"]),
        ),
    )
