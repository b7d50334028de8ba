"""Does a measured value grow? Robust against the sawtooth of collectors, merges and caches."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

WARM_UP = 1 / 3
"""Share of the run that is not looked at: pools, caches and interpreters fill."""
_MOST_POINTS = 300


@dataclass(frozen=True, slots=True)
class Trend:
    """What became of one value after the warm-up.

    Attributes:
        begin, end: median of the first and of the last fifth.
        growth: what the Theil-Sen slope adds over the whole time.
    """

    begin: float
    end: float
    growth: float


def trend(points: Sequence[tuple[float, float]]) -> Trend:
    """The trend of (seconds, value) points after the warm-up. There must be at least ten."""
    points = sorted(points)
    points = points[int(len(points) * WARM_UP) :]
    points = points[:: max(1, len(points) // _MOST_POINTS)]
    slopes = [(v2 - v1) / (t2 - t1) for (t1, v1), (t2, v2) in combinations(points, 2) if t2 > t1]
    fifth = max(1, len(points) // 5)
    values = [value for _, value in points]
    return Trend(
        begin=median(values[:fifth]),
        end=median(values[-fifth:]),
        growth=median(slopes) * (points[-1][0] - points[0][0]),
    )
