"""UUID version 7 (RFC 9562, section 5.7): time-ordered, so that inserts land side by side in an index."""

import secrets
import uuid


def uuid7(now_ms: int) -> uuid.UUID:
    """A new UUIDv7: 48 bits of unix milliseconds, then 74 random bits."""
    random_a = secrets.randbits(12)
    random_b = secrets.randbits(62)
    return uuid.UUID(int=(now_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | random_a << 64 | 0b10 << 62 | random_b)
