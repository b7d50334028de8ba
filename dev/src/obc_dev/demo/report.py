"""The dashboard answer as tables for a terminal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table

_ROWS = 5


def dashboard_report(answer: Mapping[str, Any], days: int) -> RenderableType:
    """Tables of the five groups of a GetDashboard answer over so many days."""
    people, usage, speed = answer["user_engagement"], answer["feature_usage"], answer["performance"]
    journey, tenant = answer["user_journey"], answer["tenant_analytics"]
    numbers = Table(title=f"Last {days} days")
    for column in ("", "value", "period before", "change"):
        numbers.add_column(column, justify="left" if not column else "right")
    rows: tuple[tuple[str, Mapping[str, Any], Callable[[float], str]], ...] = (
        ("events", tenant["events"], _count), ("users", people["users"], _count),
        ("sessions", people["sessions"], _count), ("page views", people["page_views"], _count),
        ("session duration", people["avg_session_duration"], _seconds),
        ("bounce rate", people["bounce_rate"], _percent),
        ("pages per session", people["pages_per_session"], _decimal),
        ("interactions", usage["interactions"], _count), ("form submissions", usage["form_submissions"], _count),
        ("errors", speed["errors"], _count), ("error rate", speed["error_rate"], _percent),
    )  # fmt: skip
    for name, compared, show in rows:
        numbers.add_row(
            name,
            _shown(compared.get("value"), show),
            _shown(compared.get("previous"), show),
            _shown(compared.get("change"), _percent),
        )
    lists = Columns(
        [
            _ranking("Pages", people["top_pages"]),
            _ranking("Events", usage["top_events"]),
            _ranking("Entry pages", journey["entry_pages"]),
            _ranking("Browsers", tenant["browsers"]),
            _ranking("Devices", tenant["device_types"]),
            _ranking("Referrers", journey["referrers"]),
            _measurements(speed["metrics"]),
        ]
    )
    return Group(numbers, lists)


def _ranking(title: str, items: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=title)
    table.add_column("name")
    table.add_column("events", justify="right")
    table.add_column("users", justify="right")
    for item in items[:_ROWS]:
        table.add_row(item["name"], _shown(item["count"].get("value"), _count), _shown(item.get("users"), _count))
    return table


def _measurements(metrics: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="Performance")
    table.add_column("measurement")
    for quantile in ("p50", "p75", "p95", "p99"):
        table.add_column(quantile, justify="right")
    for metric in metrics[:_ROWS]:
        values = (metric[quantile].get("value") for quantile in ("p50", "p75", "p95", "p99"))
        table.add_row(metric["name"], *(_shown(value, _milliseconds) for value in values))
    return table


def _shown(value: float | None, show: Callable[[float], str]) -> str:
    return "-" if value is None else show(value)


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _decimal(value: float) -> str:
    return f"{value:.2f}"


def _percent(value: float) -> str:
    return f"{value * 100:+.1f} %" if value < 0 else f"{value * 100:.1f} %"


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.0f} s"


def _milliseconds(value: float) -> str:
    return f"{value:.0f} ms"
