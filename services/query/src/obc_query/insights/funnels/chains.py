"""The best attempt of every person or session: the longest of all chains, of these the earliest.

(windowFunnel knows how long an attempt is, but not its times, and counts one event as two steps.)
"""

from collections.abc import Sequence

from obc_query.insights.funnels.events import units
from obc_query.insights.funnels.layout import STEP_BITS, layout, milliseconds, needs_exclusions
from obc_query.insights.funnels.question import FunnelQuestion
from obc_query.insights.funnels.rests import Chains
from obc_query.questions.expressions import NONE
from obc_query.statement import Binder, Select


def can_chain(question: FunnelQuestion) -> bool:
    """Whether the next step depends on the last one alone."""
    if question.counting == "totals" or (question.ties == "grace" and question.order != "any"):
        return False
    if not needs_exclusions(question):
        return question.order != "any" or question.one_step_each
    return question.order == "ordered" and not question.held_constant


def best_chains(question: FunnelQuestion, binder: Binder, *, sampled: bool, with_ids: bool) -> Select:
    """Rows: `times` (of the steps taken, milliseconds), `weight`, `label`; one for each who enters.

    And `in_doubt` where it would take ids.
    """
    known = layout(question, sampled=sampled, held_first=question.order != "strict", with_ids=with_ids)
    best = _Best(Chains(question, known), binder)
    arrays = Select(best.event_columns(), units(question, known, binder))
    entries = Select([f"{best.entries()} AS found", *best.carried], arrays)
    deep = Select(
        [
            *best.carried,
            f"arrayMap(chain -> {best.depth()}, found) AS depths",
            f"{best.index()} AS best",
            "found[best] AS best_chain",
            "depths[best] AS taken",
        ],
        entries,
        where=["notEmpty(found)"],
    )
    columns = [f"{best.times()} AS times", f"{best.weight()} AS weight", f"{best.label()} AS label", *known.in_doubt]
    return Select(columns, deep)


class _Best:
    """The expressions that choose among chains, and that say what the best one is."""

    def __init__(self, chains: Chains, binder: Binder) -> None:
        self._chains = chains
        self._question = chains.question
        self._binder = binder
        self._any_order = chains.question.order == "any"

    @property
    def carried(self) -> list[str]:
        """What is needed in the end."""
        names = [f"{name}s" for name in ("weight", "label") if self._chains.known.has(name)]
        names += self._chains.known.in_doubt
        return ["codes", "ties", *names] if self._chains.held else names

    def event_columns(self) -> list[str]:
        """What is known of each event, and the chain from it on."""
        known = self._chains.known
        columns = self._chains.event_columns()
        for name in ("tie", "weight", "label"):
            if f"{name}s" in self.carried:
                columns.append(f"{known.all_of('events', name)} AS {name}s")
        columns += known.in_doubt
        return columns + (self._chains.first_of_each() if self._any_order else self._chains.rests())

    def entries(self) -> str:
        """The chain of every event with which an attempt begins."""
        span, steps = self._question.span, range(self._chains.steps)
        start, end = (self._binder.bind(ms << STEP_BITS, "Int64") for ms in (span.start_ms, span.end_ms))
        arrays = self._chains.arrays
        given, over = ", ".join(["chain", *arrays]), ", ".join(arrays.values())
        in_range = f"code >= {start} AND code < {end}"
        if not self._any_order:
            return f"arrayFilter(({given}) -> {in_range} AND {self._chains.matches(0)}, rest0, {over})"
        first_of_each = f"arrayZip({', '.join(f'first{step}' for step in steps)})"
        in_order = f"arraySort([{', '.join(f'chain.{step + 1}' for step in steps)}])"
        return f"arrayMap(chain -> {in_order}, arrayFilter(({given}) -> {in_range}, {first_of_each}, {over}))"

    def depth(self) -> str:
        """How many steps of a chain are within the window of its first."""
        window = self._binder.bind(self._question.window_ms + 1, "Int64")
        limit = f"bitShiftLeft({milliseconds(self._code('chain', 0))} + {window}, {STEP_BITS})"
        later = [f"({self._code('chain', step)} < {limit})" for step in range(1, self._chains.steps)]
        return f"1 + {' + '.join(later)}"

    def index(self) -> str:
        """Where the chain with most steps is, of these the earliest."""
        only_first = self._question.entry == "first"
        if not self._chains.held:
            return "toUInt64(1)" if only_first else "indexOf(depths, arrayMax(depths))"
        # Events may be sorted by what is held constant, not by time.
        fewest = "toInt16(0)" if only_first else "-toInt16(depth)"
        place = self._place("chain", 0)
        keys = f"(chain, depth, number) -> ({fewest}, codes[{place}], ties[{place}], number)"
        return f"arraySort(arrayMap({keys}, found, depths, arrayEnumerate(found)))[1].4"

    def times(self) -> str:
        """When the steps were taken, milliseconds."""
        return self._taken([milliseconds(self._code("best_chain", step)) for step in range(self._chains.steps)])

    def weight(self) -> str:
        """What the attempt counts."""
        if not self._chains.known.has("weight"):
            return "1"
        places = (self._place("best_chain", step) for step in range(self._chains.steps))
        return f"arrayMin({self._taken([f'weights[{place}]' for place in places])})"

    def label(self) -> str:
        """The value of the breakdown."""
        breakdown = self._question.breakdown
        if breakdown is None:
            return "''"
        if breakdown.step:
            return f"if(taken >= {breakdown.step}, labels[{self._place('best_chain', breakdown.step - 1)}], '{NONE}')"
        places = [self._place("best_chain", step) for step in range(self._chains.steps)]
        return f"labels[[{', '.join(places)}][taken]]"

    def _taken(self, of_each_step: Sequence[str]) -> str:
        return f"arraySlice([{', '.join(of_each_step)}], 1, taken)"

    def _code(self, chain: str, step: int) -> str:
        if self._any_order:
            return f"{chain}[{step + 1}].1" if self._chains.with_places else f"{chain}[{step + 1}]"
        return f"{chain}.{step * 2 + 1}" if self._chains.with_places else f"{chain}.{step + 1}"

    def _place(self, chain: str, step: int) -> str:
        return f"{chain}[{step + 1}].2" if self._any_order else f"{chain}.{step * 2 + 2}"
