"""People who look at dashboards, and somebody who asks heavy funnels without pause."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from obc.query.v1 import dashboard_pb2, filter_pb2, funnels_pb2, trends_pb2
from obc_common.clients import QueryClient
from obc_common.context import Principal
from obc_common.errors import DomainError

_TIMEOUT = 300.0
_DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_FUNNEL = ("page_view", "user_action", "search_performed", "project_created", "purchase")
# What a refused caller waits, as it is told to.
_RETRY_SECONDS = 1.0


@dataclass(slots=True)
class Load:
    """What came of a phase: seconds of each view by tenant, and how the funnels went.

    Attributes:
        views: seconds until everything of a view was there.
        funnels: seconds of each funnel.
        failures: reasons of what was refused or failed, with the number.
    """

    views: dict[str, list[float]] = field(default_factory=dict)
    funnels: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)


async def look(
    client: QueryClient,
    load: Load,
    *,
    viewers: Sequence[str],
    heavy: Sequence[str],
    until: int,
    seconds: float,
    pause: float,
    seed: int,
) -> None:
    """Runs a phase.

    Args:
        client: of the query service.
        load: gets what is measured; views that are under way at the end count too.
        viewers: the tenant of each viewer.
        heavy: the tenant of each caller that asks funnels.
        until: end of the data, unix milliseconds.
        seconds: how long new views and funnels begin.
        pause: mean seconds between the end of a view and the next one of that viewer; 0 = none.
        seed: of what is asked and of the pauses.
    """
    end = time.monotonic() + seconds
    rng = random.Random(seed)  # made-up people, not a secret

    async def view(tenant: str, own: random.Random) -> None:
        principal = _caller(tenant)
        await asyncio.sleep(own.random() * pause)
        while time.monotonic() < end:
            # Nobody looks at quite the same range, so every answer is computed.
            to = until - own.randrange(2 * 24 * 60) * _MINUTE_MS
            start = to - 7 * _DAY_MS
            started = time.monotonic()
            try:
                await asyncio.gather(
                    client.get_dashboard(
                        dashboard_pb2.GetDashboardRequest(from_time=str(start), to_time=str(to)),
                        principal=principal,
                        timeout=_TIMEOUT,
                    ),
                    *(
                        client.call("QueryTrends", trend, principal=principal, timeout=_TIMEOUT)
                        for trend in _trends(start, to)
                    ),
                )
            except DomainError as error:
                load.failures[f"view {error.reason}"] += 1
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                load.views.setdefault(tenant, []).append(time.monotonic() - started)
            await asyncio.sleep(own.uniform(0.5, 1.5) * pause)

    async def funnels(tenant: str, own: random.Random) -> None:
        while time.monotonic() < end:
            started = time.monotonic()
            try:
                await client.call("QueryFunnels", _funnel(own, until), principal=_caller(tenant), timeout=_TIMEOUT)
                load.funnels.append(time.monotonic() - started)
            except DomainError as error:
                load.failures[f"funnel {error.reason}"] += 1
                await asyncio.sleep(_RETRY_SECONDS)

    async with asyncio.TaskGroup() as group:
        for tenant in viewers:
            group.create_task(view(tenant, random.Random(rng.random())))
        for tenant in heavy:
            group.create_task(funnels(tenant, random.Random(rng.random())))


def _caller(tenant: str) -> Principal:
    return Principal(tenant, "bench", "secret", frozenset({"query"}))


def _trends(start: int, to: int) -> list[trends_pb2.QueryTrendsRequest]:
    page_views = filter_pb2.EventSelector(names=["page_view"])
    totals = trends_pb2.TrendSeries(event=page_views)
    users = trends_pb2.TrendSeries(event=page_views, measure="unique_users")
    return [
        trends_pb2.QueryTrendsRequest(series=[series], interval=interval, from_time=str(start), to_time=str(to))
        for series, interval in ((totals, "day"), (users, "hour"))
    ]


def _funnel(rng: random.Random, until: int) -> funnels_pb2.QueryFunnelsRequest:
    steps = [filter_pb2.EventSelector(names=[name]) for name in _FUNNEL]
    return funnels_pb2.QueryFunnelsRequest(
        steps=steps,
        from_time=str(until - 30 * _DAY_MS),
        to_time=str(until - rng.randrange(24 * 60) * _MINUTE_MS),
        window_ms=30 * _DAY_MS,
        counting="totals",
        breakdown="properties.plan",
        trend_interval="day",
    )
