"""Sends product events to OpenBioCure Analytics: in the background, in batches, exactly once.

from obc_analytics import Analytics

with Analytics("wk_live_...", address="ingest:50051") as analytics:
    analytics.track("report_exported", {"format": "pdf"}, user_id="user-17")
"""

from obc_analytics.aio import AsyncAnalytics
from obc_analytics.client import Analytics
from obc_analytics.errors import (
    AnalyticsError,
    BrokenAnswer,
    ClientClosed,
    CredentialRefused,
    DeliveryProblem,
    FlushTimeout,
    InvalidEvent,
    QueueFull,
    ServerBusy,
    Unreachable,
)
from obc_analytics.options import Options, WhenFull
from obc_analytics.results import EventResult, Outcome, Stats
from obc_analytics.version import VERSION as __version__

__all__ = [
    "Analytics",
    "AnalyticsError",
    "AsyncAnalytics",
    "BrokenAnswer",
    "ClientClosed",
    "CredentialRefused",
    "DeliveryProblem",
    "EventResult",
    "FlushTimeout",
    "InvalidEvent",
    "Options",
    "Outcome",
    "QueueFull",
    "ServerBusy",
    "Stats",
    "Unreachable",
    "WhenFull",
    "__version__",
]
