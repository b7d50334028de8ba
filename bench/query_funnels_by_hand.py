"""Funnels by hand for the read model.

An event is one number: its milliseconds, two bits of its step (3 = no step), and with a breakdown its value. A person's
numbers are sorted; `arrayReverseFill` tells of each the next one of a step. Names of steps differ, so an event is one.
"""

from dataclasses import dataclass

from bench.query_question import DAY, People, Span, moment

NEVER = 1 << 60
WINDOW_MS = 7 * DAY
_BROWSERS = ("Chrome", "Edge", "Firefox", "Safari")


@dataclass(frozen=True, slots=True)
class Funnel:
    """Three steps: entries of a range, events of a longer one."""

    people: People
    entries: Span
    events: Span
    steps: tuple[str, str, str]


def ordered(funnel: Funnel, *, by_browser: bool = False) -> str:
    """Others may come between."""
    bits = 5 if by_browser else 2
    step = f"bitAnd(bitShiftRight(x, {bits - 2}), 3)"
    label = f" * 8 + transform(browser, {list(_BROWSERS)}, [1, 2, 3, 4], 0)" if by_browser else ""
    code = f"(toUnixTimestamp64Milli(event_time) * 4 + {_step(funnel, 2)}){label}"
    chains = f"""
      SELECT {_next(step, 1)} AS b, {_next(step, 2)} AS c0,
        arrayReverseFill((y, x) -> {step} = 1 OR x >= {NEVER}, c0, s) AS c, s
      FROM ({_sorted(funnel, code)})"""
    value = "bitAnd(s[i], 7)" if by_browser else "0"
    return _best(funnel, chains, f"{step} = 0", bits, value)


def exclusion(funnel: Funnel) -> str:
    """The same, and no error between two steps."""
    step = "bitAnd(x, 3)"
    code = f"toUnixTimestamp64Milli(event_time) * 4 + {_step(funnel, 3)}"
    chains = f"""
      SELECT {_next(step, 3)} AS bad, {_next(step, 1)} AS b0, {_next(step, 2)} AS c0,
        arrayMap((y, z) -> if(y < z, y, {NEVER}), b0, bad) AS b,
        arrayReverseFill((y, x) -> {step} = 1 OR x >= {NEVER},
          arrayMap((y, z) -> if(y < z, y, {NEVER}), c0, bad), s) AS c1,
        arrayMap((y, z) -> if(y < {NEVER}, z, {NEVER}), b, c1) AS c, s
      FROM ({_sorted(funnel, code, "error")})"""
    return _best(funnel, chains, f"{step} = 0", 2, "0")


def strict(funnel: Funnel) -> str:
    """Nothing between: the events behind an entry are the steps."""
    code = f"toUnixTimestamp64Milli(event_time) * 4 + {_step(funnel, 3)}"
    everything = f"""
      SELECT arrayPushBack(arraySort(groupArray({code})), {NEVER}) AS s
      FROM {funnel.people.ch_events} WHERE {funnel.events.ch} GROUP BY {funnel.people.ch}"""
    chains = f"""
      SELECT arrayMap(y -> if(bitAnd(y, 3) = 1, y, {NEVER}), arrayShiftLeft(s, 1, {NEVER})) AS b,
        arrayMap((y, z) -> if(bitAnd(y, 3) = 2 AND z < {NEVER}, y, {NEVER}), arrayShiftLeft(s, 2, {NEVER}), b) AS c, s
      FROM ({everything})"""
    return _best(funnel, chains, "bitAnd(x, 3) = 0", 2, "0")


def any_order(funnel: Funnel) -> str:
    """The steps in any order: the first event of each from an entry on."""
    step = "bitAnd(x, 3)"
    code = f"toUnixTimestamp64Milli(event_time) * 4 + {_step(funnel, 2)}"
    chains = f"""
      SELECT {_next(step, 0)} AS n0, {_next(step, 1)} AS n1, {_next(step, 2)} AS n2,
        arrayMap((p, q, r) -> greatest(least(p, q), least(greatest(p, q), r)), n0, n1, n2) AS b,
        arrayMap((p, q, r) -> greatest(p, q, r), n0, n1, n2) AS c, s
      FROM ({_sorted(funnel, code)})"""
    return _best(funnel, chains, "true", 2, "0")


def first_entry(funnel: Funnel) -> str:
    """Of the first entry of each: the first second step behind it, the first third step behind that."""
    first, second, third = funnel.steps
    ms = "toUnixTimestamp64Milli(event_time)"
    entering = f"event_name = '{first}' AND event_time < {moment(funnel.entries.end_ms)}"
    behind = "arrayMin(arrayPushBack(arrayFilter(x -> x >= {0}, {1}), {2}))"
    return f"""
    SELECT count(), countIf(b <= till), countIf(c <= till), avgIf(b - a, b <= till),
      quantilesExactInclusiveIf(0.5, 0.9)(b - a, b <= till), avgIf(c - b, c <= till),
      quantilesExactInclusiveIf(0.5, 0.9)(c - b, c <= till)
    FROM (
      SELECT minIf({ms}, {entering}) AS a, a + {WINDOW_MS} AS till,
        {behind.format("a", f"groupArrayIf({ms}, event_name = '{second}')", NEVER)} AS b,
        {behind.format("b", f"groupArrayIf({ms}, event_name = '{third}')", NEVER)} AS c
      FROM {funnel.people.ch_events} WHERE {funnel.events.ch} AND event_name IN {funnel.steps}
      GROUP BY {funnel.people.ch} HAVING a > 0)"""


def _step(funnel: Funnel, otherwise: int) -> str:
    names = funnel.steps[:otherwise] if otherwise < 3 else funnel.steps
    cases = ", ".join(f"event_name = '{name}', {place}" for place, name in enumerate(names))
    return f"multiIf({cases}, {otherwise})"


def _sorted(funnel: Funnel, code: str, *further: str) -> str:
    return f"""
      SELECT arrayPushBack(arraySort(groupArray({code})), {NEVER}) AS s
      FROM {funnel.people.ch_events} WHERE {funnel.events.ch} AND event_name IN {(*funnel.steps, *further)}
      GROUP BY {funnel.people.ch}"""


def _next(step: str, number: int) -> str:
    return f"arrayReverseFill(x -> {step} = {number} OR x >= {NEVER}, s)"


def _best(funnel: Funnel, chains: str, enters: str, bits: int, value: str) -> str:
    """Of all entries the one that comes farthest, of these the first. `b` and `c` follow each number of `s`."""
    start, end = funnel.entries.start_ms << bits, funnel.entries.end_ms << bits
    within = f"{{}} < bitShiftLeft(bitShiftRight(x, {bits}) + {WINDOW_MS + 1}, {bits})"
    depth = f"1 + ({within.format('y')}) + ({within.format('z')})"
    ms = f"bitShiftRight({{}}[i], {bits})"
    return f"""
    SELECT count(), countIf(d > 1), countIf(d > 2), avgIf(to_b, d > 1),
      quantilesExactInclusiveIf(0.5, 0.9)(to_b, d > 1), avgIf(to_c, d > 2),
      quantilesExactInclusiveIf(0.5, 0.9)(to_c, d > 2)
    FROM (
      SELECT arrayMap((x, y, z) -> if(({enters}) AND x >= {start} AND x < {end}, {depth}, 0), s, b, c) AS depths,
        arrayMax(depths) AS d, indexOf(depths, d) AS i, {value} AS value,
        {ms.format("b")} - {ms.format("s")} AS to_b, {ms.format("c")} - {ms.format("b")} AS to_c
      FROM ({chains}) WHERE d > 0)
    GROUP BY value"""
