"""What a new key may be: its rights, origins and end."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from obc_common.context import TENANT_SCOPES
from obc_common.errors import InvalidArgument
from obc_common.keys import KeyKind

_KINDS: Final[dict[str, KeyKind]] = {"write": "write", "secret": "secret", "operator": "operator"}
_MAX_ORIGINS: Final = 100
_LONGEST_LIFE_MS: Final = 100 * 366 * 86_400_000
_LONGEST_OVERLAP_SECONDS: Final = 90 * 86_400
_DEFAULT_OVERLAP_SECONDS: Final = 86_400


def checked_kind(kind: str) -> KeyKind:
    """Raises InvalidArgument(BAD_KEY_KIND)."""
    if kind not in _KINDS:
        raise InvalidArgument("BAD_KEY_KIND", "a key is `write`, `secret` or `operator`", field="kind")
    return _KINDS[kind]


def checked_scopes(kind: KeyKind, scopes: tuple[str, ...]) -> tuple[str, ...]:
    """A secret key's rights, sorted, each once; other kinds have none of their own.

    Raises:
        InvalidArgument: BAD_SCOPES.
    """
    if kind != "secret":
        if scopes:
            raise InvalidArgument("BAD_SCOPES", "only a secret key has scopes", field="scopes")
        return ()
    unknown = [scope for scope in scopes if scope not in TENANT_SCOPES]
    if unknown or not scopes:
        raise InvalidArgument(
            "BAD_SCOPES", f"a secret key needs some of: {' '.join(sorted(TENANT_SCOPES))}", field="scopes"
        )
    return tuple(sorted(set(scopes)))


def checked_origins(kind: KeyKind, origins: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as a browser sends them: scheme, host and, when it is not the scheme's own, port.

    Raises:
        InvalidArgument: BAD_ORIGIN, naming the entry.
    """
    if origins and kind != "write":
        raise InvalidArgument("BAD_ORIGIN", "only a write key has allowed origins", field="allowed_origins")
    if len(origins) > _MAX_ORIGINS:
        raise InvalidArgument("BAD_ORIGIN", f"at most {_MAX_ORIGINS} origins", field="allowed_origins")
    return tuple(dict.fromkeys(_origin(origin, position) for position, origin in enumerate(origins)))


def checked_expiry(expires_at_ms: int, now_ms: int) -> int:
    """Raises InvalidArgument(BAD_EXPIRY) unless it is 0 (never) or in the future."""
    if expires_at_ms and not now_ms < expires_at_ms <= now_ms + _LONGEST_LIFE_MS:
        raise InvalidArgument("BAD_EXPIRY", "a key must end in the future", field="expires_at")
    return expires_at_ms


def checked_overlap(seconds: int) -> int:
    """How long a replaced key goes on, seconds; 0 = a day. Raises InvalidArgument(BAD_OVERLAP)."""
    if not 0 <= seconds <= _LONGEST_OVERLAP_SECONDS:
        raise InvalidArgument(
            "BAD_OVERLAP", f"an overlap is between 0 and {_LONGEST_OVERLAP_SECONDS} seconds", field="overlap_seconds"
        )
    return seconds or _DEFAULT_OVERLAP_SECONDS


def _origin(text: str, position: int) -> str:
    bad = InvalidArgument(
        "BAD_ORIGIN",
        "an origin is a scheme, a host and perhaps a port, e.g. https://shop.example",
        field=f"allowed_origins[{position}]",
    )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise bad from None
    host = parts.netloc.lower()
    if len(text) > 300 or parts.scheme not in ("http", "https") or not parts.hostname or not text.isascii():
        raise bad
    # The text must be the origin and nothing else: no user name, path, query, space or wildcard.
    if f"{parts.scheme}://{host}" != text.lower() or any(character in host for character in "@* \\%"):
        raise bad
    default_port = {"http": 80, "https": 443}[parts.scheme]
    if port == default_port or host.endswith(":"):
        host = host.rpartition(":")[0]
    return f"{parts.scheme}://{host}"
