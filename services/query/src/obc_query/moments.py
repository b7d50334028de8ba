"""Moments as PostgreSQL has them, and as everybody else has them: unix milliseconds."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(ms: int | None) -> datetime | None:
    """The moment of unix milliseconds, exactly."""
    return None if ms is None else EPOCH + timedelta(milliseconds=ms)


def unix_ms(moment: datetime) -> int:
    """Unix milliseconds of a moment, exactly."""
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000
