"""Telling the host application, on the courier's thread; what its callbacks raise is logged and goes no further."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from obc_analytics.errors import DeliveryProblem
from obc_analytics.results import EventResult, Outcome

_log = logging.getLogger("obc_analytics")

OnResult = Callable[[EventResult], object]
OnError = Callable[[DeliveryProblem], object]
T = TypeVar("T")


class Notifier:
    """The host's callbacks; any may be missing."""

    def __init__(self, on_rejected: OnResult | None, on_dropped: OnResult | None, on_error: OnError | None) -> None:
        self._on = {Outcome.REJECTED: on_rejected, Outcome.DROPPED: on_dropped, Outcome.EVICTED: on_dropped}
        self._on_error = on_error
        self.last_problem: DeliveryProblem | None = None
        """What delivery met last; None = it gets on."""

    def results(self, results: Iterable[EventResult]) -> None:
        """Tells what was not stored."""
        for result in results:
            if result.outcome == Outcome.REJECTED:
                _log.warning("event %s rejected: %s %s %s", result.event_id, result.code, result.field, result.message)
            if callback := self._on.get(result.outcome):
                _call(callback, result)

    def problem(self, problem: DeliveryProblem, pause: float) -> None:
        """Tells that delivery pauses, seconds. Logged once for each kind in a row, told every time."""
        last, self.last_problem = self.last_problem, problem
        again = last is not None and (type(last), last.code) == (type(problem), problem.code)
        level = logging.DEBUG if again else logging.WARNING
        _log.log(level, "delivery pauses %.2f s (%s: %s)", pause, type(problem).__name__, problem)
        if self._on_error:
            _call(self._on_error, problem)

    def recovered(self) -> None:
        """Delivery gets on again."""
        if self.last_problem is not None:
            self.last_problem = None
            _log.info("delivery gets on again")


def _call(callback: Callable[[T], object], argument: T) -> None:
    try:
        callback(argument)
    except Exception:
        _log.exception("a callback of the application failed")
