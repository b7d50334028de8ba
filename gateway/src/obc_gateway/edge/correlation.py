"""Correlation ids: the client's when it is well-formed, else a new one; out again on every answer."""

import re
import uuid

HEADER = "X-Correlation-ID"

_WELL_FORMED = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)


def correlation_id(given: str | None) -> str:
    """The id to use for a request whose header says `given`."""
    return given if given and _WELL_FORMED.fullmatch(given) else str(uuid.uuid4())
