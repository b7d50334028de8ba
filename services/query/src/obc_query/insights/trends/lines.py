"""From what was measured to the lines of the answer: points, formulas, rolling averages."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from obc_query.insights.trends.formula import Node, evaluate
from obc_query.insights.trends.measures import finite
from obc_query.insights.trends.question import Period
from obc_query.insights.trends.statements import Measured
from obc_query.questions.metrics import Point, points_of


@dataclass(frozen=True, slots=True)
class Line:
    """A total and the points of one series or formula, of one breakdown value, of one period."""

    total: float | None
    points: Sequence[Point]
    skipped: int = 0


def measured_line(measured: Measured, period: Period, now_ms: int, *, nothing: float | None) -> Line:
    """A series; `nothing` is its measure where there are no events."""
    points = points_of(period.buckets, measured.by_bucket, now_ms, nothing=nothing)
    return Line(measured.total, points, measured.skipped)


def computed_line(formula: Node, series: Sequence[Line], period: Period, now_ms: int) -> Line:
    """A formula over the lines of all series."""
    values: dict[int, float] = {}
    for points in zip(*(line.points for line in series), strict=True):
        value = evaluate(formula, [point.value for point in points])
        if value is not None:
            values[points[0].start_ms] = value
    total = evaluate(formula, [line.total for line in series])
    return Line(total, points_of(period.buckets, values, now_ms, nothing=None))


def rolling(line: Line, width: int) -> Line:
    """Each point the mean of `width` buckets, itself the last, as far as they have values."""
    if width == 1:
        return line
    values = [point.value or 0.0 for point in line.points]
    counted = list(accumulate((point.value is not None for point in line.points), initial=0))
    averaged = []
    for index, point in enumerate(line.points):
        first = max(0, index + 1 - width)
        known = counted[index + 1] - counted[first]
        has_mean = known > 0 and not (point.incomplete and point.value is None)
        mean = finite(sum(values[first : index + 1]) / known) if has_mean else None
        # What is not over yet is never said to be zero.
        averaged.append(Point(point.start_ms, None if point.incomplete and not mean else mean, point.incomplete))
    return Line(line.total, averaged, line.skipped)
