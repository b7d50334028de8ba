"""What a dashboard says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from obc_query.questions.metrics import Point


@dataclass(frozen=True, slots=True)
class Compared:
    """A number and the same number of the period before; None where there is none."""

    value: float | None
    previous: float | None

    @property
    def change(self) -> float | None:
        """Relative change; None where it would be a division by nothing."""
        if self.value is None or not self.previous:
            return None
        return (self.value - self.previous) / self.previous


@dataclass(frozen=True, slots=True)
class Ranked:
    """One row of a top list."""

    name: str
    count: Compared
    users: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """One performance metric: how often it was measured, and its percentiles."""

    name: str
    count: Compared
    percentiles: Sequence[Compared]


@dataclass(frozen=True, slots=True)
class Step:
    """From one page to another within a session."""

    source: str
    target: str
    count: float


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The numbers by their names in the contract, and the lists by theirs."""

    numbers: Mapping[str, Compared]
    lists: Mapping[str, Sequence[Ranked]]
    measurements: Sequence[Measurement]
    transitions: Sequence[Step]
    users_by_day: Sequence[Point]
    sampled: bool
