"""Unix milliseconds as PostgreSQL's moments."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(unix_ms: int) -> datetime:
    """A time of PostgreSQL."""
    return _EPOCH + timedelta(milliseconds=unix_ms)
