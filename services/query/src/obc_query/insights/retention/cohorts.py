"""Cohorts with their cells, and which of these are over."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from obc.query.v1 import retention_pb2
from obc_query.engine import Row
from obc_query.insights.retention.question import RetentionQuestion
from obc_query.insights.retention.statements import MEMBERS
from obc_query.questions.expressions import OTHER


@dataclass(slots=True)
class Cohort:
    """The people of one cohort.

    Attributes:
        size: how many.
        first: when the first of their periods 0 begins, unix milliseconds.
        last: when the last one does.
        back: how many came back, by period.
    """

    size: float = 0.0
    first: int = 0
    last: int = 0
    back: dict[int, float] = field(default_factory=dict)

    def add(self, other: "Cohort") -> None:
        """Takes the people of another value of the breakdown in."""
        if not other.size:
            return
        self.first = min(self.first, other.first) if self.size else other.first
        self.last = max(self.last, other.last) if self.size else other.last
        self.size += other.size
        for period, people in other.back.items():
            self.back[period] = self.back.get(period, 0.0) + people


Cohorts = dict[int, Cohort]
"""By the number of the bucket."""
_NOBODY = Cohort()


def read_cohorts(rows: Sequence[Row], *, accumulate: bool) -> dict[str, Cohorts]:
    """The rows of `cells_statement` by value of the breakdown.

    Args:
        rows: see there.
        accumulate: whether who is in a row counts in all periods before it too.
    """
    found: dict[str, Cohorts] = {}
    for label, number, period, people, first, last in rows:
        cohort = found.setdefault(str(label), {}).setdefault(int(number), Cohort())
        if period == MEMBERS:
            cohort.size, cohort.first, cohort.last = float(people), int(first), int(last)
            continue
        for reached in range(int(period) + 1) if accumulate else (int(period),):
            cohort.back[reached] = cohort.back.get(reached, 0.0) + float(people)
    return found


def largest(found: Mapping[str, Cohorts], limit: int) -> list[tuple[str, Cohorts]]:
    """The values with the most people, then `$other` with the people of all others."""
    sizes = {label: sum(cohort.size for cohort in cohorts.values()) for label, cohorts in found.items()}
    named = sorted((label for label in found if label != OTHER), key=lambda label: (-sizes[label], label))
    shown = [(label, found[label]) for label in named[:limit]]
    rest = [*named[limit:], *([OTHER] if OTHER in found else [])]
    if rest:
        shown.append((OTHER, _together(found[label] for label in rest)))
    return shown


def _together(all_cohorts: Iterable[Cohorts]) -> Cohorts:
    together: Cohorts = {}
    for cohorts in all_cohorts:
        for number, cohort in cohorts.items():
            together.setdefault(number, Cohort()).add(cohort)
    return together


def group_of(question: RetentionQuestion, cohorts: Cohorts, now_ms: int) -> retention_pb2.RetentionGroup:
    """The message of one value of the breakdown, or of everybody."""
    group = retention_pb2.RetentionGroup()
    for number, start_ms in enumerate(question.window.buckets.starts):
        cohort = cohorts.get(number, _NOBODY)
        shown = group.cohorts.add(start_ms=start_ms, size=cohort.size)
        for period in range(question.periods + 1):
            for_some, for_all = _over(question, number, cohort, period, now_ms)
            cell = shown.cells.add(period=period, incomplete=not for_all)
            if for_some:
                cell.count = cohort.back.get(period, 0.0)
                if cohort.size:
                    cell.rate = cell.count / cohort.size
    for period in range(question.periods + 1):
        complete = [cohort for cohort in group.cohorts if not cohort.cells[period].incomplete]
        cell = group.average.add(period=period, incomplete=len(complete) < len(group.cohorts))
        if complete:
            cell.count = sum(cohort.cells[period].count for cohort in complete)
            if size := sum(cohort.size for cohort in complete):
                cell.rate = cell.count / size
    return group


def _over(question: RetentionQuestion, number: int, cohort: Cohort, period: int, now_ms: int) -> tuple[bool, bool]:
    """Whether a period is over for somebody of a cohort, and whether it is for everybody who may be in it."""
    if not question.rolling:
        over = question.calendar.end_of(number + period) <= now_ms
        return over, over
    closed_ms = min(question.window.buckets.end_of(number), question.span.end_ms)
    first, last = (cohort.first, cohort.last) if cohort.size else (closed_ms, closed_ms)
    length = (period + 1) * question.period_ms
    return first + length <= now_ms, max(closed_ms, last + length) <= now_ms
