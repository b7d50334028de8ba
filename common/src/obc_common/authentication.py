"""Finds out who calls: an internal identity, an API key or a JSON Web Token."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Protocol

from obc_common.context import Principal
from obc_common.errors import Unauthenticated
from obc_common.identity import IDENTITY_HEADER, IdentityVerifier
from obc_common.interceptors.authenticate import Authenticator
from obc_common.jwt_verifier import MAX_TOKEN_BYTES, JwtVerifier
from obc_common.keys import key_kind, key_sha256
from obc_common.tenant_state import KeyRecord

__all__ = ["Authenticator", "CredentialAuthenticator", "KeyDirectory", "credential_from"]

_SCHEME = "bearer "


class KeyDirectory(Protocol):
    """Where keys and tenants are looked up: `TenantDirectory`, or TenantConfig's own."""

    async def key(self, sha256: bytes) -> KeyRecord | None:
        """The live key with a fingerprint. Raises Unavailable when nobody can say."""
        ...

    def has_tenant(self, tenant_id: str) -> bool:
        """True when the tenant exists."""
        ...

    def note_use(self, key_id: str) -> None:
        """Notes that a key was used."""
        ...


class CredentialAuthenticator:
    """Authenticates calls and bare credentials.

    Args:
        directory: knows keys and tenants.
        jwt_verifier: checks tokens.
        identity_verifier: checks identities of the suite's own processes; None where none can arrive (the edge).
    """

    def __init__(
        self, directory: KeyDirectory, jwt_verifier: JwtVerifier, identity_verifier: IdentityVerifier | None = None
    ) -> None:
        self._directory = directory
        self._jwt_verifier = jwt_verifier
        self._identity_verifier = identity_verifier

    async def authenticate(self, metadata: Mapping[str, str | bytes]) -> Principal:
        """The caller behind a call's metadata. An identity that is there and wrong is never replaced by a key.

        Raises:
            Unauthenticated: BAD_CREDENTIAL (BAD_IDENTITY for an internal identity).
            Unavailable: the key is unknown here and TenantConfig does not answer.
        """
        identity = metadata.get(IDENTITY_HEADER)
        if identity is not None and self._identity_verifier is not None:
            return self._identity_verifier.verify(str(identity))
        return await self.principal_of(credential_from(metadata))

    async def principal_of(self, credential: str) -> Principal:
        """The caller behind the text of a key or token. Raises like `authenticate`; the empty text is refused too."""
        if not credential or len(credential) > MAX_TOKEN_BYTES:
            raise _bad_credential()
        if key_kind(credential) is not None:
            return await self._principal_of_key(credential)
        token = await self._jwt_verifier.verify(credential)
        if not self._directory.has_tenant(token.tenant_id):
            raise _bad_credential()
        return Principal(
            tenant_id=token.tenant_id,
            subject=token.subject,
            kind="jwt",
            scopes=token.scopes,
            expires_at_ms=token.expires_at_ms,
        )

    async def _principal_of_key(self, text: str) -> Principal:
        sha256 = key_sha256(text)
        record = await self._directory.key(sha256)
        if record is None or not hmac.compare_digest(record.sha256, sha256):
            raise _bad_credential()
        self._directory.note_use(record.key_id)
        return Principal(
            tenant_id=record.tenant_id,
            subject=record.key_id,
            kind=record.kind,
            scopes=record.scopes,
            key_id=record.key_id,
            allowed_origins=record.allowed_origins,
            expires_at_ms=record.expires_at_ms,
        )


def credential_from(metadata: Mapping[str, str | bytes]) -> str:
    """The text of `authorization: Bearer ...`, else of `x-api-key`; empty when there is neither."""
    authorization = metadata.get("authorization", "")
    if isinstance(authorization, str) and authorization[: len(_SCHEME)].lower() == _SCHEME:
        return authorization[len(_SCHEME) :].strip()
    api_key = metadata.get("x-api-key", "")
    return api_key.strip() if isinstance(api_key, str) else ""


def _bad_credential() -> Unauthenticated:
    return Unauthenticated("BAD_CREDENTIAL", "the credential is missing or not valid")
