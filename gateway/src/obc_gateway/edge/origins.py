"""Origins of browser pages (RFC 6454)."""

import re

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._\-\[\]:]+", re.ASCII)
_LONGEST = 300


def normal_origin(text: str) -> str | None:
    """An origin in lower case; None for `null` and for anything that is none."""
    lowered = text.strip().lower()
    return lowered if len(lowered) <= _LONGEST and _ORIGIN.fullmatch(lowered) else None


def is_same_origin(origin: str, host: str) -> bool:
    """True when a page of `origin` and a request to `host` (the Host header) belong to one site."""
    return origin.partition("://")[2] == host.strip().lower()
