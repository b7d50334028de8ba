"""Where a request carries its credential. Places that end up in logs and pages take write keys only."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from obc_common.errors import Unauthenticated
from obc_common.keys import key_kind

SUBPROTOCOL = "obc.v1"
_SUBPROTOCOL_KEY = "obc.key."
_BEARER = "bearer"


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential's text; `public` when it came from a place where only a write key may be."""

    text: str
    public: bool = False


def from_headers(headers: Mapping[str, str]) -> Credential | None:
    """`Authorization: Bearer`, else `X-API-Key`. An empty bearer token counts as none.

    Raises:
        Unauthenticated: BAD_CREDENTIAL for another Authorization scheme.
    """
    scheme, _, token = headers.get("Authorization", "").strip().partition(" ")
    if token.strip():
        if scheme.lower() != _BEARER:
            raise bad_credential()
        return Credential(token.strip())
    if scheme and scheme.lower() != _BEARER:
        raise bad_credential()
    key = headers.get("X-API-Key", "").strip()
    return Credential(key) if key else None


def from_query(query: Mapping[str, str]) -> Credential | None:
    """`?key=`, for beacons and sockets."""
    key = query.get("key", "").strip()
    return Credential(key, public=True) if key else None


def from_subprotocols(header: str) -> Credential | None:
    """`Sec-WebSocket-Protocol: obc.v1, obc.key.<key>`: browsers cannot set other headers on a WebSocket."""
    for protocol in header.split(","):
        name = protocol.strip()
        if name.startswith(_SUBPROTOCOL_KEY) and len(name) > len(_SUBPROTOCOL_KEY):
            return Credential(name.removeprefix(_SUBPROTOCOL_KEY))
    return None


def from_body(body: bytes) -> Credential | None:
    """The `key` of a beacon's JSON body. A body that cannot be read has none: it is refused as unauthenticated."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    key = parsed.get("key") if isinstance(parsed, dict) else None
    return Credential(key.strip(), public=True) if isinstance(key, str) and key.strip() else None


def check_place(credential: Credential) -> None:
    """Raises Unauthenticated(BAD_CREDENTIAL) for a secret in a public place."""
    if credential.public and key_kind(credential.text) != "write":
        raise bad_credential()


def bad_credential() -> Unauthenticated:
    """One error for every bad credential: it must not tell which part was right."""
    return Unauthenticated("BAD_CREDENTIAL", "The credential is not valid.")


def no_credential() -> Unauthenticated:
    """There is none."""
    return Unauthenticated(
        "NO_CREDENTIAL", "A credential is needed: Authorization: Bearer <key or token>, or X-API-Key."
    )
