from typing import Any

import pytest
from pydantic import ValidationError

from obc_ingest.settings import Settings

NEEDED: dict[str, Any] = {"database_url": "postgresql://x", "internal_secret": "s" * 32}


def test_defaults_are_those_of_the_contract() -> None:
    limits = Settings(**NEEDED).limits()

    assert (limits.events, limits.batch_bytes, limits.event_bytes) == (1000, 4 * 1024 * 1024, 32 * 1024)
    assert limits.age_ms == 30 * 86_400_000


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"max_event_age_days": 31}, "ANALYTICS_DEDUP_WINDOW_DAYS"),
        ({"ingest_burst": 999}, "ANALYTICS_INGEST_BURST"),
        ({"queue_events": 1000, "max_events_per_batch": 2000}, "ANALYTICS_QUEUE_EVENTS"),
    ],
)
def test_settings_that_break_a_promise_are_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Settings(**NEEDED, **changes)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", "postgresql://x")
    monkeypatch.setenv("ANALYTICS_INTERNAL_SECRET", "s" * 32)
    monkeypatch.setenv("ANALYTICS_INGEST_GRPC_PORT", "7")
    monkeypatch.setenv("ANALYTICS_MAX_EVENT_AGE_DAYS", "3650")
    monkeypatch.setenv("ANALYTICS_DEDUP_WINDOW_DAYS", "3650")

    settings = Settings()

    assert (settings.grpc_port, settings.max_event_age_days) == (7, 3650)
