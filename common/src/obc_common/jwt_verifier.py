"""JSON Web Tokens of trusted issuers (RFC 7519, under the rules of RFC 8725).

The issuer's configuration says which algorithm, audience and keys count; a token's header only says which key of those.
Every refusal is the same error, so that a caller learns nothing about what was wrong; the log knows.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import jwt

from obc_common.clock import Clock
from obc_common.context import TENANT_SCOPES
from obc_common.errors import Unauthenticated
from obc_common.jwks import JwksCache, is_allowed_jwks_url
from obc_common.logs import get_logger
from obc_common.tenant_state import JwtIssuer

_log = get_logger(__name__)

MAX_TOKEN_BYTES: Final = 8 * 1024
_MAX_KID_CHARS: Final = 200
_MAX_SUBJECT_CHARS: Final = 200
_MAX_LIFETIME: Final = 24 * 3600
_LEEWAY: Final = 30
_REQUIRED: Final = ("exp", "iat", "iss", "aud", "sub")
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a valid token says.

    Attributes:
        issuer: who vouches.
        subject: for whom.
        tenant_id: tenant, a UUID in canonical form. That the tenant exists is not checked here.
        scopes: the scopes it grants of those that the suite knows.
        expires_at_ms: end, unix milliseconds.
    """

    issuer: str
    subject: str
    tenant_id: str
    scopes: frozenset[str]
    expires_at_ms: int


class _Refused(Exception):
    """Why a token is not accepted; for the log only."""


class JwtVerifier:
    """Checks tokens.

    Args:
        issuers: answers the trusted issuers by `iss`, as they are now.
        clock: time of token lifetimes and of the key sets' intervals.

    `close` it: it owns an HTTP client (made when a key set is first needed).
    """

    def __init__(self, issuers: Callable[[], Mapping[str, JwtIssuer]], clock: Clock) -> None:
        self._issuers = issuers
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._key_sets: dict[tuple[str, str], JwksCache] = {}

    async def verify(self, token: str) -> VerifiedToken:
        """What the token says.

        Raises:
            Unauthenticated: BAD_CREDENTIAL, for every reason alike.
        """
        try:
            return await self._verify(token)
        except (_Refused, jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            _log.info("token_refused", why=f"{type(error).__name__}: {error}"[:200])
            raise Unauthenticated("BAD_CREDENTIAL", "the credential is missing or not valid") from None

    async def close(self) -> None:
        """Closes the HTTP client and ends fetches under way."""
        for key_set in self._key_sets.values():
            await key_set.close()
        if self._session is not None:
            await self._session.close()

    async def _verify(self, token: str) -> VerifiedToken:
        if len(token) > MAX_TOKEN_BYTES or not _COMPACT.fullmatch(token):
            raise _Refused("not a compact token of acceptable size")
        unverified = jwt.decode_complete(token, options={"verify_signature": False})
        header, issuer = unverified["header"], self._issuer_of(unverified["payload"])
        kid = header.get("kid")
        if header.get("alg") != issuer.algorithm:
            raise _Refused("another algorithm than the issuer's")
        if "crit" in header:
            raise _Refused("critical extensions, of which we know none")
        if not isinstance(kid, str) or len(kid) > _MAX_KID_CHARS:
            raise _Refused("no key id")
        key = await self._key_set_of(issuer).key(kid)
        if key is None:
            raise _Refused("unknown key id")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[issuer.algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            # Times are checked below, against the injected clock.
            options={"require": list(_REQUIRED), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
        expires = self._check_times(claims)
        return VerifiedToken(
            issuer=issuer.issuer,
            subject=_subject(claims),
            tenant_id=_tenant(claims, issuer),
            scopes=_scopes(claims.get(issuer.scopes_claim)),
            expires_at_ms=int(expires * 1000),
        )

    def _issuer_of(self, claims: Mapping[str, Any]) -> JwtIssuer:
        name = claims.get("iss")
        issuer = self._issuers().get(name) if isinstance(name, str) else None
        if issuer is None:
            raise _Refused("unknown issuer")
        return issuer

    def _key_set_of(self, issuer: JwtIssuer) -> JwksCache:
        key_set = self._key_sets.get((issuer.jwks_url, issuer.algorithm))
        if key_set is None:
            if not is_allowed_jwks_url(issuer.jwks_url):
                raise _Refused("the issuer's key set is not at an allowed address")
            if self._session is None:
                # No cookies, and no proxy of the environment.
                self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
            key_set = JwksCache(issuer.jwks_url, issuer.algorithm, self._session, self._clock)
            self._key_sets[(issuer.jwks_url, issuer.algorithm)] = key_set
        return key_set

    def _check_times(self, claims: Mapping[str, Any]) -> float:
        now = self._clock.now_ms() / 1000
        expires, issued = _seconds(claims["exp"]), _seconds(claims["iat"])
        if now >= expires + _LEEWAY:
            raise _Refused("expired")
        if issued > now + _LEEWAY:
            raise _Refused("issued in the future")
        if not 0 < expires - issued <= _MAX_LIFETIME:
            raise _Refused("a lifetime of more than 24 hours")
        if "nbf" in claims and _seconds(claims["nbf"]) > now + _LEEWAY:
            raise _Refused("not valid yet")
        return expires


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused("a time that is no number")
    return float(value)


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT_CHARS or not subject.isprintable():
        raise _Refused("no usable subject")
    return subject


def _tenant(claims: Mapping[str, Any], issuer: JwtIssuer) -> str:
    claimed = claims.get(issuer.tenant_claim)
    if claimed is None and issuer.tenant_id:
        return issuer.tenant_id
    if not isinstance(claimed, str):
        raise _Refused("no tenant")
    tenant_id = str(uuid.UUID(claimed))
    if issuer.tenant_id and tenant_id != issuer.tenant_id:
        raise _Refused("a tenant that the issuer may not speak for")
    return tenant_id


def _scopes(claimed: object) -> frozenset[str]:
    words = claimed.split() if isinstance(claimed, str) else claimed
    if not isinstance(words, list):
        return frozenset()
    # Scopes of other systems may stand next to ours; `internal` is never granted by a token.
    return frozenset(word for word in words if isinstance(word, str)) & TENANT_SCOPES
