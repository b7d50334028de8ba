"""Domain answers as messages of obc.query.v1. What messages ask is read in `requests.py`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson

from obc.common.v1 import event_pb2
from obc.query.v1 import dashboard_pb2, live_pb2, metrics_pb2, stored_event_pb2
from obc_common.live import LiveMessage
from obc_query.live.snapshot import Snapshot
from obc_query.moments import unix_ms
from obc_query.questions.dashboard.model import Compared, Dashboard, Ranked
from obc_query.questions.metrics import Point, Series

if TYPE_CHECKING:
    import asyncpg

_TEXT_DEVICE_FIELDS = (
    "device_type", "browser", "browser_version", "os", "os_version", "language", "timezone",
)  # fmt: skip
_PIXEL_DEVICE_FIELDS = ("screen_width", "screen_height", "viewport_width", "viewport_height")
_INT32_MAX = 2**31 - 1


def stored_event(row: "asyncpg.Record") -> stored_event_pb2.StoredEvent:
    """A row of analytics_events."""
    return stored_event_pb2.StoredEvent(
        event_id=str(row["event_id"]),
        event_name=row["event_name"],
        event_category=row["event_category"],
        user_id=row["user_id"] or "",
        anonymous_id=row["anonymous_id"] or "",
        session_id=row["session_id"] or "",
        properties_json=bytes(row["properties"]),
        timestamp_ms=unix_ms(row["timestamp"]),
        event_time_ms=unix_ms(row["event_time"]),
        received_at_ms=unix_ms(row["received_at"]),
        skew_ms=row["skew_ms"],
        page_url=row["page_url"] or "",
        referrer=row["referrer"] or "",
        user_agent_hash=row["user_agent"] or "",
        device_info=_device_info(orjson.loads(row["device_info"])),
        correlation_id=row["correlation_id"] or "",
        sample_rate=row["sample_rate"],
    )


def metric_series(series: Series) -> metrics_pb2.MetricSeries:
    """One series."""
    return metrics_pb2.MetricSeries(
        metric=series.metric.name,
        breakdown_value=series.breakdown_value,
        unit=series.metric.unit,
        total=series.total,
        points=metric_points(series.points),
    )


def metric_points(points: Iterable[Point]) -> list[metrics_pb2.MetricPoint]:
    """The points of a series."""
    return [
        metrics_pb2.MetricPoint(start_ms=point.start_ms, value=point.value, incomplete=point.incomplete)
        for point in points
    ]


def dashboard_response(answer: Dashboard) -> dashboard_pb2.GetDashboardResponse:
    """The five groups; range, live users and freshness are the servicer's to add."""
    number = {name: _compared(value) for name, value in answer.numbers.items()}

    def ranked(name: str) -> list[dashboard_pb2.RankedItem]:
        return [_ranked(item) for item in answer.lists.get(name, ())]

    return dashboard_pb2.GetDashboardResponse(
        user_engagement=dashboard_pb2.UserEngagement(
            users=number["users"],
            sessions=number["sessions"],
            page_views=number["page_views"],
            avg_session_duration=number["avg_session_duration"],
            bounce_rate=number["bounce_rate"],
            pages_per_session=number["pages_per_session"],
            top_pages=ranked("top_pages"),
            users_by_day=metric_points(answer.users_by_day),
        ),
        feature_usage=dashboard_pb2.FeatureUsage(
            interactions=number["interactions"],
            form_submissions=number["form_submissions"],
            top_events=ranked("top_events"),
            top_actions=ranked("top_actions"),
        ),
        performance=dashboard_pb2.Performance(
            errors=number["errors"],
            error_rate=number["error_rate"],
            metrics=[
                dashboard_pb2.PerformanceMetric(
                    name=item.name,
                    count=_compared(item.count),
                    **dict(zip(("p50", "p75", "p95", "p99"), map(_compared, item.percentiles), strict=True)),
                )
                for item in answer.measurements
            ],
            top_errors=ranked("top_errors"),
        ),
        user_journey=dashboard_pb2.UserJourney(
            entry_pages=ranked("entry_pages"),
            exit_pages=ranked("exit_pages"),
            transitions=[
                dashboard_pb2.Transition(source=step.source, target=step.target, count=step.count)
                for step in answer.transitions
            ],
            referrers=ranked("referrers"),
        ),
        tenant_analytics=dashboard_pb2.TenantAnalytics(
            events=number["events"],
            event_names=number["event_names"],
            categories=ranked("categories"),
            device_types=ranked("device_types"),
            browsers=ranked("browsers"),
            operating_systems=ranked("operating_systems"),
        ),
    )


def live_events(message: LiveMessage) -> live_pb2.StreamLiveResponse:
    """Events just stored."""
    events = [
        live_pb2.LiveEvent(
            event_id=event.event_id,
            event_name=event.event_name,
            event_category=event.event_category,
            user_id=event.user_id,
            page_path=event.page_path,
            event_time_ms=event.event_time_ms,
            received_at_ms=event.received_at_ms,
        )
        for event in message.events
    ]
    return live_pb2.StreamLiveResponse(events=live_pb2.LiveEvents(events=events, skipped=message.skipped))


def live_snapshot(snapshot: Snapshot, now_ms: int) -> live_pb2.StreamLiveResponse:
    """The numbers; all zero, and the read model unhealthy, when there never were any."""
    health = live_pb2.SystemHealth(
        degraded=snapshot.feed_interrupted, unhealthy=snapshot.unhealthy, read_model_lag_ms=snapshot.lag_ms
    )
    activity = snapshot.activity
    if activity is None:
        return live_pb2.StreamLiveResponse(snapshot=live_pb2.LiveSnapshot(health=health, at_ms=now_ms))
    return live_pb2.StreamLiveResponse(
        snapshot=live_pb2.LiveSnapshot(
            live_users=activity.live_users,
            events_last_minute=activity.events_last_minute,
            errors=activity.errors,
            error_rate=activity.error_rate,
            performance=[
                live_pb2.LivePerformance(name=item.name, count=item.count, p75=item.p75)
                for item in activity.performance
            ],
            health=health,
            at_ms=activity.at_ms,
        )
    )


def _compared(value: Compared) -> dashboard_pb2.ComparedValue:
    return dashboard_pb2.ComparedValue(value=value.value, previous=value.previous, change=value.change)


def _ranked(item: Ranked) -> dashboard_pb2.RankedItem:
    return dashboard_pb2.RankedItem(name=item.name, count=_compared(item.count), users=item.users)


def _device_info(device: dict[str, Any]) -> event_pb2.DeviceInfo:
    message = event_pb2.DeviceInfo()
    for name in _TEXT_DEVICE_FIELDS:
        if isinstance(value := device.get(name), str):
            setattr(message, name, value)
    for name in _PIXEL_DEVICE_FIELDS:
        if isinstance(pixels := device.get(name), int | float):
            setattr(message, name, min(max(int(pixels), 0), _INT32_MAX))
    return message
