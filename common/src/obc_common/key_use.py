"""When each key was last used, gathered in memory and told once a minute: no write on the hot path."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

from obc_common.clock import Clock
from obc_common.errors import DomainError
from obc_common.logs import get_logger

_log = get_logger(__name__)
_MOST_PER_REPORT = 1000

Report = Callable[[Mapping[str, int]], Awaitable[None]]


class KeyUseLog:
    """Remembers the last use of every key since the last report.

    Args:
        report: tells uses (key id -> unix milliseconds) to whoever stores them; raises DomainError when it cannot.
        clock: time.
        interval: seconds between two reports.
    """

    def __init__(self, report: Report, clock: Clock, interval: float = 60.0) -> None:
        self._report = report
        self._clock = clock
        self._interval = interval
        self._uses: dict[str, int] = {}

    def note(self, key_id: str) -> None:
        """Notes that a key was used now."""
        self._uses[key_id] = self._clock.now_ms()

    async def run(self) -> None:
        """Reports until cancelled. What was not reported by then is lost: it is right to about a minute."""
        while True:
            # Jitter, so that replicas started together do not report together.
            await asyncio.sleep(self._interval * random.uniform(0.8, 1.2))  # noqa: S311  # no secret
            await self.flush()

    async def flush(self) -> None:
        """Reports what was noted; when that fails it is kept for the next time."""
        pending, self._uses = list(self._uses.items()), {}
        for start in range(0, len(pending), _MOST_PER_REPORT):
            try:
                await self._report(dict(pending[start : start + _MOST_PER_REPORT]))
            except DomainError as error:
                _log.warning("key_use_report_failed", reason=error.reason)
                # A use noted in the meantime is newer.
                self._uses = dict(pending[start:]) | self._uses
                return
