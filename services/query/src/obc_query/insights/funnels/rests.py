"""The rest of an attempt as seen from each event, from the last step to the first, without trying entries.

Where the next step is the first event behind the last one, it depends on that event alone and not on how the attempt
came there. So for an event of step k the rest of an attempt is the rest from the first event of step k+1 behind it.
Each step is a few passes over an array. Who has ten thousand entries costs ten thousand times one, not ten thousand
times ten thousand.

A chain holds, for every step from k on, the code of its event and, where that is needed, its place in the array.
A step that is not taken is an event at the end of time.
"""

from dataclasses import dataclass

from obc_query.insights.funnels.layout import STEP_BITS, Layout, milliseconds, needs_exclusions
from obc_query.insights.funnels.question import FunnelQuestion, excluded_steps

NEVER = f"toInt64({2**61})"
_STEP = 2**STEP_BITS - 1


@dataclass(frozen=True, slots=True)
class Chains:
    """The expressions of a question, over arrays with a last event that never happens.

    Attributes:
        question: in which the next step depends on the last one alone.
        known: what is known of an event.
    """

    question: FunnelQuestion
    known: Layout

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.question.steps)

    @property
    def with_places(self) -> bool:
        """Whether a chain has places besides codes."""
        return len(self.known.fields) > 1

    @property
    def held(self) -> bool:
        """Whether chains are of one value held constant; events are sorted by it, unless the order is strict."""
        return self.known.has("held")

    @property
    def arrays(self) -> dict[str, str]:
        """The arrays of what is known of each event, by the name of a member."""
        arrays = {"code": "codes"}
        if self.with_places:
            arrays["place"] = "places"
        if self.known.has("mask"):
            arrays["mask"] = "masks"
        if self.held:
            arrays["goes_on"] = "goes_ons"  # whether the next event has the same values
        return arrays

    def matches(self, step: int) -> str:
        """The condition that an event can be a step, 0 = the first."""
        return f"bitTest(mask, {step})" if self.known.has("mask") else f"bitAnd(code, {_STEP}) = {step}"

    def event_columns(self) -> list[str]:
        """Makes `arrays` of `events`."""
        columns = [f"arrayPushBack({self.known.all_of('events', 'code')}, {NEVER}) AS codes"]
        if self.with_places:
            columns.append("arrayEnumerate(codes) AS places")
        if self.known.has("mask"):
            columns.append(f"arrayPushBack({self.known.all_of('events', 'mask')}, 0) AS masks")
        if self.held:
            columns += [
                f"arrayPushBack({self.known.all_of('events', 'held')}, toFixedString('', 16)) AS helds",
                "arrayMap((one, next) -> one = next, helds, arrayShiftLeft(helds, 1)) AS goes_ons",
            ]
        return columns

    def first_of_each(self) -> list[str]:
        """`first0`, `first1` ...: the first event of each step, from each event on; of events that match one step."""
        event, never = ("(code, place)", f"({NEVER}, toUInt32(0))") if self.with_places else ("code", NEVER)
        columns = []
        for step in range(self.steps):
            own = _over("arrayMap", f"if({self.matches(step)}, {event}, {never})", self.arrays)
            columns.append(f"{self._next_that(self._is_or_ends(step), own)} AS first{step}")
        return columns

    def rests(self) -> list[str]:
        """`rest0`: the whole chain from each event on that can be the first step; of others it means nothing."""
        columns = self._exclusions() if needs_exclusions(self.question) else []
        for step in reversed(range(self.steps)):
            columns.append(f"{self._rest(step)} AS rest{step}")
            if step:
                columns.append(f"{self._seen_from_before(step)} AS next{step - 1}")
        return columns

    def _rest(self, step: int) -> str:
        """From step `step` on. With exclusions it begins with the number of excluded events before it."""
        arrays, members = self.arrays, ["code", "place"][: self._width]
        if needs_exclusions(self.question) and step:
            arrays |= {"out": f"out{step - 1}", "is_out": f"is_out{step - 1}"}
            members.insert(0, "out - is_out")
        if step < self.steps - 1:
            arrays["next"] = f"next{step}"
            first = 2 if needs_exclusions(self.question) else 1
            members += [f"next.{first + number}" for number in range((self.steps - step - 1) * self._width)]
        chain = f"tuple({', '.join(members)})"
        if step and (self.question.order == "strict" or self.held):
            chain = f"if({self.matches(step)}, {chain}, {self._none(step)})"
        return _over("arrayMap", chain, arrays)

    def _seen_from_before(self, step: int) -> str:
        """The chain from step `step` on, for an event that is the step before."""
        strict, none = self.question.order == "strict", self._none(step)
        first = f"rest{step}" if strict else self._next_that(self._is_or_ends(step), f"rest{step}")
        seen = f"arrayShiftLeft({first}, 1, {none})"
        if self.held:
            seen = _over("arrayMap", f"if(goes_on, chain, {none})", {"chain": seen, **self.arrays})
        if self.question.ties == "strict_time":
            is_later = f"{milliseconds('following')} > {milliseconds('code')}"
            following = {"following": f"arrayShiftLeft(codes, 1, {NEVER})"}
            if strict:
                later = f"if({is_later}, chain, {none})"
                seen = _over("arrayMap", later, {"chain": seen, **self.arrays, **following})
            else:
                seen = self._next_that(f"{is_later} OR NOT goes_on" if self.held else is_later, seen, following)
        if needs_exclusions(self.question):
            arrays = {"chain": seen, "out": f"out{step - 1}"}
            seen = _over("arrayMap", f"if(chain.1 <= out, chain, {none})", arrays)
        return seen

    def _next_that(self, condition: str, values: str, further: dict[str, str] | None = None) -> str:
        """For each event the value of the first one from it on that meets a condition."""
        return _over("arrayReverseFill", condition, {"value": values, **self.arrays, **(further or {})})

    def _is_or_ends(self, step: int) -> str:
        return f"{self.matches(step)} OR code >= {NEVER}" + (" OR NOT goes_on" if self.held else "")

    def _none(self, step: int) -> str:
        """No chain from step `step` on."""
        members = [NEVER, "toUInt32(0)"][: self._width] * (self.steps - step)
        return f"tuple({', '.join(['toInt64(0)'] * needs_exclusions(self.question) + members)})"

    def _exclusions(self) -> list[str]:
        """For every step but the last: how many events up to here, this one included, must not be behind it."""
        columns = [f"arrayPushBack({self.known.excluded('events')}, 0) AS excludeds"]
        for step in range(self.steps - 1):
            bits = sum(2**place for place in excluded_steps(self.question.exclusions, step + 1))
            columns += [
                f"arrayMap(bits -> toInt64(bitAnd(bits, {bits}) != 0), excludeds) AS is_out{step}",
                f"arrayCumSum(is_out{step}) AS out{step}",
            ]
        return columns

    @property
    def _width(self) -> int:
        """Members of a chain for each step."""
        return 2 if self.with_places else 1


def _over(function: str, body: str, arrays: dict[str, str]) -> str:
    return f"{function}(({', '.join(arrays)}) -> {body}, {', '.join(arrays.values())})"
