"""Ids in requests."""

from __future__ import annotations

import uuid


def is_uuid(text: str) -> bool:
    """True for a UUID in any of its usual spellings."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
