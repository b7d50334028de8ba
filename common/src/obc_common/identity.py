"""Identities between the suite's own processes: short-lived signed statements of who a call is made for.

The gateway authenticates a browser or a key once and passes the result on; a service believes it because only the
suite's processes hold the secret. HS256 (RFC 7518) with a fixed algorithm, audience and 60 s of life.
"""

from collections.abc import Sequence
from typing import Any

import jwt

from obc_common.clock import Clock, SystemClock
from obc_common.context import INTERNAL_SCOPE, Principal, RequestInfo
from obc_common.errors import Unauthenticated

IDENTITY_HEADER = "x-obc-identity"
CORRELATION_HEADER = "x-request-id"

_ALGORITHM = "HS256"
_LIFETIME = 60
_REUSE = 30
_MOST_CACHED = 10_000

_CLIENT_IP = "x-obc-client-ip"
_USER_AGENT = "x-obc-user-agent-bin"  # bytes, because a browser's user agent need not be ASCII
_SDK = "x-obc-sdk-bin"
_TRANSPORT = "x-obc-transport"
_GPC = "x-obc-gpc"


def service_principal(name: str) -> Principal:
    """The identity of one of the suite's own processes."""
    return Principal("", name, "service", frozenset({INTERNAL_SCOPE}))


class IdentityMinter:
    """Signs identities; a token is reused for 30 s per principal and audience."""

    def __init__(self, secret: str, issuer: str, clock: Clock | None = None) -> None:
        self._secret = secret
        self._issuer = issuer
        self._clock = clock or SystemClock()
        self._cache: dict[tuple[Principal, str], tuple[int, str]] = {}

    def mint(self, principal: Principal, audience: str) -> str:
        """A token that says `principal` to the service named `audience`."""
        now = self._clock.now_ms() // 1000
        cached = self._cache.get((principal, audience))
        if cached is not None and 0 <= now - cached[0] < _REUSE:
            return cached[1]
        claims = {
            "iss": self._issuer,
            "aud": audience,
            "iat": now,
            "exp": now + _LIFETIME,
            "sub": principal.subject,
            "tenant": principal.tenant_id,
            "kind": principal.kind,
            "scopes": sorted(principal.scopes),
            "key": principal.key_id,
            "origins": list(principal.allowed_origins),
            "until": principal.expires_at_ms,
        }
        token = jwt.encode(claims, self._secret, algorithm=_ALGORITHM)
        if len(self._cache) >= _MOST_CACHED:
            self._cache.clear()
        self._cache[(principal, audience)] = (now, token)
        return token


class IdentityVerifier:
    """Checks identities addressed to a service; a token that was checked is remembered until it ends.

    Args:
        secret: of the suite.
        audience: name of the service, or the names of all services of the process.
        clock: time.
    """

    def __init__(self, secret: str, audience: str | Sequence[str], clock: Clock | None = None) -> None:
        self._secret = secret
        self._audience = audience
        self._clock = clock or SystemClock()
        self._cache: dict[str, tuple[int, Principal]] = {}

    def verify(self, token: str) -> Principal:
        """The principal a token speaks of. Raises Unauthenticated(BAD_IDENTITY) for anything else."""
        now = self._clock.now_ms() // 1000
        cached = self._cache.get(token)
        if cached is not None and now < cached[0]:
            return cached[1]
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                audience=self._audience,
                # Time is checked below, against the injected clock.
                options={"require": ["exp", "iat", "iss", "aud", "sub"], "verify_exp": False, "verify_iat": False},
            )
            expires = int(claims["exp"])
            principal = Principal(
                tenant_id=claims["tenant"],
                subject=claims["sub"],
                kind=claims["kind"],
                scopes=frozenset(claims["scopes"]),
                key_id=claims["key"],
                allowed_origins=tuple(claims["origins"]),
                expires_at_ms=claims["until"],
            )
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise Unauthenticated("BAD_IDENTITY", "the internal identity is not valid") from error
        if now >= expires or int(claims["iat"]) > now + _LIFETIME:
            raise Unauthenticated("BAD_IDENTITY", "the internal identity is not valid")
        if len(self._cache) >= _MOST_CACHED:
            self._cache.clear()
        self._cache[token] = (expires, principal)
        return principal


def request_info_metadata(info: RequestInfo) -> list[tuple[str, str | bytes]]:
    """gRPC metadata that carries a RequestInfo next to an internal identity."""
    return [
        (_CLIENT_IP, info.client_ip),
        (_USER_AGENT, info.user_agent.encode("utf-8", "replace")),
        (_SDK, info.sdk.encode("utf-8", "replace")),
        (_TRANSPORT, info.transport),
        (_GPC, "1" if info.gpc else "0"),
    ]


def request_info_from(metadata: dict[str, str | bytes]) -> RequestInfo:
    """The reverse of `request_info_metadata`. To be believed only next to a valid internal identity."""
    transport = metadata.get(_TRANSPORT, "grpc")
    return RequestInfo(
        client_ip=_text(metadata.get(_CLIENT_IP, "")),
        user_agent=_text(metadata.get(_USER_AGENT, b"")),
        sdk=_text(metadata.get(_SDK, b"")),
        transport="rest" if transport == "rest" else "ws" if transport == "ws" else "grpc",
        gpc=metadata.get(_GPC) == "1",
    )


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
