"""Event ids: UUIDv7 (RFC 9562), which sort by time and so keep the server's ledger compact."""

import os
import uuid


def uuid7(now_ms: int) -> uuid.UUID:
    """A new UUIDv7. Random bits come from the system, so that forked processes never repeat each other's ids."""
    value = (now_ms & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)
