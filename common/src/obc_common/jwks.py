"""The public keys of one token issuer: fetched over https, bounded in every way, remembered.

A key is used only under the algorithm that the issuer is configured with; `jku`, `x5u`, `jwk` and `x5c` of a token are
never looked at. At most one fetch per minute, whoever asks for what, so tokens with invented key ids cannot make us
hammer the issuer. When it is away the last good set goes on being used for 24 hours.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from obc_common.clock import Clock
from obc_common.logs import get_logger
from obc_common.tenant_state import JwtAlgorithm

_log = get_logger(__name__)

_FETCH_TIMEOUT: Final = 3.0
_MAX_BYTES: Final = 256 * 1024
_MAX_KEYS: Final = 100
_MIN_RSA_BITS: Final = 2048  # RFC 7518, section 3.3
_FETCH_INTERVAL: Final = 60.0
_REFRESH_AFTER: Final = 600.0
_LAST_GOOD_FOR: Final = 24 * 3600.0
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
# What a key must say of itself to be used under an algorithm (RFC 7518, section 6; RFC 8037).
_SHAPE: Final[dict[JwtAlgorithm, dict[str, str]]] = {
    "RS256": {"kty": "RSA"},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}


def is_allowed_jwks_url(url: str) -> bool:
    """True for https, and for http on the machine itself (a development issuer); never with a user name in it."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


class JwksCache:
    """The key set behind one URL, for one algorithm.

    Args:
        url: where the set is; must satisfy `is_allowed_jwks_url`.
        algorithm: the issuer's algorithm; keys of any other are left out.
        session: HTTP client; it must not follow proxies of the environment.
        clock: monotonic time, for the intervals.
    """

    def __init__(self, url: str, algorithm: JwtAlgorithm, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._url = url
        self._algorithm = algorithm
        self._session = session
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetch: asyncio.Task[None] | None = None

    async def key(self, kid: str) -> jwt.PyJWK | None:
        """The key with an id, or None. Waits for a fetch only when the id is unknown."""
        self._forget_when_too_old()
        known = self._keys.get(kid)
        if known is None:
            fetch = self._start_fetch()
            if fetch is not None:
                # Shielded: the fetch belongs to all who wait for it.
                await asyncio.shield(fetch)
            return self._keys.get(kid)
        if self._age() > _REFRESH_AFTER:
            self._start_fetch()
        return known

    async def close(self) -> None:
        """Ends a fetch under way."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.gather(self._fetch, return_exceptions=True)

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock.monotonic() - self._fetched_at

    def _forget_when_too_old(self) -> None:
        if self._keys and self._age() > _LAST_GOOD_FOR:
            self._keys = {}

    def _start_fetch(self) -> asyncio.Task[None] | None:
        """The fetch under way, a new one, or None while the interval since the last one is not over."""
        if self._fetch is not None and not self._fetch.done():
            return self._fetch
        now = self._clock.monotonic()
        if self._tried_at is not None and now - self._tried_at < _FETCH_INTERVAL:
            return None
        self._tried_at = now
        self._fetch = asyncio.create_task(self._refresh(), name="jwks-fetch")
        return self._fetch

    async def _refresh(self) -> None:
        try:
            keys = usable_keys(await self._download(), self._algorithm)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            _log.warning("jwks_fetch_failed", url=self._url, error=f"{type(error).__name__}: {error}"[:200])
            return
        self._keys = keys
        self._fetched_at = self._clock.monotonic()

    async def _download(self) -> bytes:
        async with (
            asyncio.timeout(_FETCH_TIMEOUT),
            # A redirect would lead to a URL that nobody configured.
            self._session.get(self._url, allow_redirects=False, headers={"Accept": "application/json"}) as response,
        ):
            if response.status != 200:
                raise ValueError(f"HTTP status {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(16 * 1024):
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise ValueError("the key set is too large")
            return bytes(body)


def usable_keys(body: bytes, algorithm: JwtAlgorithm) -> dict[str, jwt.PyJWK]:
    """The keys of a set that may verify signatures of one algorithm, by id.

    Raises:
        ValueError: it is no key set, or holds too many keys. A single bad key is left out.
    """
    document = orjson.loads(body)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > _MAX_KEYS:
        raise ValueError("not a JSON Web Key Set of acceptable size")
    keys: dict[str, jwt.PyJWK] = {}
    for entry in entries:
        if isinstance(entry, dict) and _may_verify(entry, algorithm):
            key = _parsed(entry, algorithm)
            if key is not None:
                keys[entry["kid"]] = key
    return keys


def _may_verify(entry: dict[str, Any], algorithm: JwtAlgorithm) -> bool:
    if not isinstance(entry.get("kid"), str):
        return False
    if any(entry.get(name) != value for name, value in _SHAPE[algorithm].items()):
        return False
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("alg", algorithm) == algorithm
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )


def _parsed(entry: dict[str, Any], algorithm: JwtAlgorithm) -> jwt.PyJWK | None:
    try:
        key = jwt.PyJWK.from_dict(entry, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        _log.warning("jwks_key_ignored", error=f"{type(error).__name__}: {error}"[:200])
        return None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < _MIN_RSA_BITS:
        _log.warning("jwks_key_ignored", error=f"RSA key of {key.key.key_size} bits")
        return None
    return key
