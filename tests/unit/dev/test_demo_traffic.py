"""The made-up month: the same every time, and believable."""

from collections import Counter
from datetime import date, timedelta

from obc_dev.demo.traffic import events_of

_DAY = date(2026, 3, 4)  # a Wednesday
_MONTH = [_DAY - timedelta(days=back) for back in range(30)]


def test_a_day_is_the_same_whenever_it_is_made() -> None:
    assert events_of(1, _DAY) == events_of(1, _DAY)
    assert events_of(1, _DAY) != events_of(2, _DAY)


def test_a_month_has_about_20000_events_each_with_an_id_of_its_own() -> None:
    events = [event for day in _MONTH for event in events_of(1, day)]

    assert 15_000 < len(events) < 30_000
    assert len({event["event_id"] for event in events}) == len(events)


def test_it_has_everything_a_dashboard_shows() -> None:
    events = [event for day in _MONTH for event in events_of(1, day)]
    names = Counter(event["event_name"] for event in events)

    assert {"page_view", "user_action", "performance_metric", "error", "sign_up", "project_created"} <= set(names)
    assert {event["device_info"]["device_type"] for event in events} == {"desktop", "mobile", "tablet"}
    assert len({event["user_agent"] for event in events}) >= 8


def test_weekends_and_nights_are_quiet() -> None:
    by_day = {day: len(events_of(1, day)) for day in _MONTH}
    weekday = [count for day, count in by_day.items() if day.weekday() < 5]
    weekend = [count for day, count in by_day.items() if day.weekday() >= 5]
    hours = Counter(event["timestamp"] // 3_600_000 % 24 for day in _MONTH for event in events_of(1, day))

    assert max(weekend) < min(weekday)
    assert sum(hours[hour] for hour in range(8, 18)) > 5 * sum(hours[hour] for hour in range(0, 6))


def test_somebody_is_anonymous_until_they_sign_up() -> None:
    events = events_of(1, _DAY)
    sessions = {event["session_id"] for event in events if event["event_name"] == "sign_up"}

    for session in sessions:
        known = ["user_id" in event for event in events if event["session_id"] == session]
        assert known == sorted(known)
        assert not known[0]
        assert known[-1]
