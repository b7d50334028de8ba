"""How rows become the parts of a dashboard."""

import math
from collections.abc import Iterable, Sequence

from obc_query.engine import Row
from obc_query.questions.dashboard.model import Compared, Measurement, Ranked

_TOTALS = ("events", "event_names", "page_views", "errors", "users")
_ACTIONS = ("interactions", "form_submissions")
_SESSIONS = ("avg_session_duration", "bounce_rate", "pages_per_session")


def numbers_of(totals: Sequence[Row], actions: Sequence[Row], journey: Sequence[Row]) -> dict[str, Compared]:
    """The numbers by their names in the contract, of the rows of three statements."""
    periods: dict[int, Row] = {int(row[2]): row[4:] for row in totals if row[1] and not row[0]}
    numbers = {
        name: Compared(*(float(periods[p][index]) if p in periods else 0.0 for p in (1, 0)))
        for index, name in enumerate(_TOTALS)
    }
    numbers["error_rate"] = _ratio(numbers["errors"], numbers["events"])
    together = next((row[6:] for row in actions if row[0]), (0.0,) * 4)
    for index, name in enumerate(_ACTIONS):
        numbers[name] = Compared(float(together[2 * index]), float(together[2 * index + 1]))
    _, _, _, now, before, _, *sums = next((row for row in journey if row[0] == "sessions"), ("",) * 3 + (0.0,) * 9)
    numbers["sessions"] = Compared(float(now), float(before))
    for index, name in enumerate(_SESSIONS):
        numbers[name] = _ratio(Compared(float(sums[2 * index]), float(sums[2 * index + 1])), numbers["sessions"])
    return numbers


def _ratio(numerator: Compared, denominator: Compared) -> Compared:
    pairs = ((numerator.value, denominator.value), (numerator.previous, denominator.previous))
    return Compared(*(a / b if a is not None and b else None for a, b in pairs))


def ranked(rows: Iterable[Row]) -> dict[str, list[Ranked]]:
    """The lists by their names, of rows of name, second name, count, count before and users."""
    lists: dict[str, list[Ranked]] = {}
    for kind, name, _, now, before, users in rows:
        lists.setdefault(kind, []).append(Ranked(name, Compared(now, before), users))
    return lists


def measurements_of(rows: Sequence[Row]) -> list[Measurement]:
    """The performance metrics, of the rows of their statement."""
    return [
        Measurement(
            name,
            Compared(now, before),
            [Compared(_finite(a), _finite(b)) for a, b in zip(levels_now, levels_before, strict=True)],
        )
        for name, now, before, levels_now, levels_before in rows
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
