"""A tenant's activity together with how far it can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass

from obc_query.questions.live_snapshot import Activity


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one live message says.

    Attributes:
        activity: the numbers; the last known ones while the read model is away, None when there were none.
        feed_interrupted: Redis is away: events are not shown, the numbers still come.
        unhealthy: names of components that are not well.
        lag_ms: how far the read model is behind.
    """

    activity: Activity | None
    feed_interrupted: bool
    unhealthy: Sequence[str]
    lag_ms: int
