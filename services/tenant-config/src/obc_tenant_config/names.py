"""Names for people: what may be stored and shown."""

from __future__ import annotations

from typing import Final

from obc_common.errors import InvalidArgument

MAX_NAME_CHARS: Final = 200


def checked_name(name: str, *, required: bool) -> str:
    """The name without surrounding space. Raises InvalidArgument(BAD_NAME) on `name`."""
    trimmed = name.strip()
    if required and not trimmed:
        raise InvalidArgument("BAD_NAME", "a name is needed", field="name")
    if len(trimmed) > MAX_NAME_CHARS:
        raise InvalidArgument("BAD_NAME", f"a name has at most {MAX_NAME_CHARS} characters", field="name")
    if any(ord(character) < 32 or ord(character) == 127 for character in trimmed):
        raise InvalidArgument("BAD_NAME", "a name has no control characters", field="name")
    return trimmed
