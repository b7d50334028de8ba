"""Attempts one after the other, for what depends on more than the last step.

With `totals` an event belongs to one attempt, with `grace` a step may be earlier than the one before it, and where
events match several steps in order `any`, it takes all steps so far to know whether an event is one more. Then each
entry is followed by itself, from the earliest to the latest; who has many entries costs as many passes over their
events.
"""

from dataclasses import dataclass

from obc_query.insights.filter_tree import Selector
from obc_query.insights.funnels.events import units
from obc_query.insights.funnels.layout import Layout, layout, milliseconds, needs_exclusions
from obc_query.insights.funnels.question import GRACE_MS, FunnelQuestion, excluded_steps
from obc_query.questions.expressions import NONE
from obc_query.statement import Binder, Select


def attempts_one_by_one(question: FunnelQuestion, binder: Binder, *, sampled: bool, with_ids: bool) -> Select:
    """Rows: `times` (of the steps taken, milliseconds), `weight`, `label`; one for every attempt that counts.

    And `in_doubt` where it would take ids.
    """
    known = layout(question, sampled=sampled, held_first=False, with_ids=with_ids)
    doubt = known.in_doubt
    fold = _Fold(question, known, binder)
    arrays = Select([*fold.arrays(), *doubt], units(question, known, binder))
    described = Select([f"{fold.described()} AS described", *doubt], arrays)
    entering = Select(["described", f"{fold.entries()} AS entries", *doubt], described)
    found = Select([f"arrayJoin({fold.attempts()}) AS attempt", *doubt], entering, where=["notEmpty(entries)"])
    return Select([f"{fold.times()} AS times", f"{fold.weight()} AS weight", f"{fold.label()} AS label", *doubt], found)


@dataclass(frozen=True, slots=True)
class _Fold:
    """The expressions of a question.

    An event is a tuple of _PLACE, _MS and _STEPS, and of what else the question asks for. An attempt is an array of
    the events of its steps. What is known while one is followed is (attempt, latest time, steps that its events can
    be together, whether it goes on).
    """

    question: FunnelQuestion
    known: Layout
    binder: Binder

    @property
    def steps(self) -> int:
        return len(self.question.steps)

    @property
    def members(self) -> list[str]:
        beside = [name for name in ("held", "weight", "label") if self.known.has(name)]
        return ["place", "ms", "mask", *beside, *(["outs", "is_outs"] if needs_exclusions(self.question) else [])]

    def of(self, event: str, member: str) -> str:
        return f"{event}.{self.members.index(member) + 1}"

    def arrays(self) -> list[str]:
        codes = self.known.all_of("events", "code")
        columns = [
            f"arrayMap(code -> {milliseconds('code')}, {codes}) AS all_ms",
            "arrayEnumerate(all_ms) AS all_place",
        ]
        if self.known.has("mask"):
            columns.append(f"{self.known.all_of('events', 'mask')} AS all_mask")
        else:
            # No step at all is the last number.
            bits = f"bitAnd(bitShiftLeft(toUInt32(1), bitAnd(code, 31)), {2**self.steps - 1})"
            columns.append(f"arrayMap(code -> toUInt32({bits}), {codes}) AS all_mask")
        columns += [
            f"{self.known.all_of('events', name)} AS all_{name}"
            for name in ("held", "weight", "label")
            if self.known.has(name)
        ]
        return columns + (self._exclusions() if needs_exclusions(self.question) else [])

    def described(self) -> str:
        """All events, each a tuple."""
        return f"arrayZip({', '.join(f'all_{member}' for member in self.members)})"

    def entries(self) -> str:
        """The events with which an attempt may begin; `totals` asks later whether they are free."""
        span = self.question.span
        start, end = self.binder.bind(span.start_ms, "Int64"), self.binder.bind(span.end_ms, "Int64")
        mask, ms = self.of("event", "mask"), self.of("event", "ms")
        test = f"{mask} != 0" if self.question.order == "any" else f"bitTest({mask}, 0)"
        found = f"arrayFilter(event -> {test} AND {ms} >= {start} AND {ms} < {end}, described)"
        return f"arraySlice({found}, 1, 1)" if self.question.entry == "first" else found

    def attempts(self) -> str:
        """The attempts that count."""
        nothing = "arrayResize(described, 0)"
        attempt = self._attempt
        if self.question.counting != "totals":
            longer = f"arrayMap(now -> if(length(now) > length(best), now, best), [{attempt('described')}])[1]"
            return f"[arrayFold((best, entry) -> {longer}, entries, {nothing})]"
        place = self.of("event", "place")
        places = f"tupleElement(now, {self.members.index('place') + 1})"
        free = f"arrayFilter(event -> NOT has({places}, {place}), state.1)"
        taken = f"arrayMap(now -> ({free}, arrayPushBack(state.2, now)), [{attempt('state.1')}])[1]"
        is_free = f"has(tupleElement(state.1, {self.members.index('place') + 1}), {self.of('entry', 'place')})"
        # The empty attempt gives the array its type.
        all_taken = f"arrayFold((state, entry) -> if({is_free}, {taken}, state), entries, (described, [{nothing}])).2"
        return f"arrayPopFront({all_taken})"

    def times(self) -> str:
        return f"tupleElement(attempt, {self.members.index('ms') + 1})"

    def weight(self) -> str:
        if not self.known.has("weight"):
            return "1"
        return f"arrayMin(tupleElement(attempt, {self.members.index('weight') + 1}))"

    def label(self) -> str:
        breakdown = self.question.breakdown
        if breakdown is None:
            return "''"
        labels = f"tupleElement(attempt, {self.members.index('label') + 1})"
        if breakdown.step:
            return f"if(length(attempt) >= {breakdown.step}, {labels}[{breakdown.step}], '{NONE}')"
        return f"{labels}[-1]"

    def _attempt(self, events: str) -> str:
        """The attempt that begins with `entry`: for each further step the first event that can be it."""
        step = f"arrayFirst(event -> {self._can_be_next()}, {events})"
        found = f"arrayMap(event -> if({self._is_step()}, {self._advanced()}, {self._ended()}), [{step}])[1]"
        begun = f"([entry], {self.of('entry', 'ms')}, {self._coverable('[toUInt32(0)]', 'entry')}, toUInt8(1))"
        return f"arrayFold((done, number) -> {found}, range(1, {self.steps}), {begun}).1"

    def _can_be_next(self) -> str:
        any_order, last, first = self.question.order == "any", "done.1[-1]", "done.1[1]"
        place, ms = self.of("event", "place"), self.of("event", "ms")
        window = self.binder.bind(self.question.window_ms, "Int64")
        tests = ["done.4 = 1", f"{ms} <= {self.of(first, 'ms')} + {window}"]
        if self.question.order == "strict":
            tests.append(f"{place} = {self.of(last, 'place')} + 1")
        elif self.question.ties == "grace" and not any_order:
            taken = f"tupleElement(done.1, {self.members.index('place') + 1})"
            tests += [f"{ms} >= done.2 - {GRACE_MS}", f"NOT has({taken}, {place})"]
        else:
            tests.append(f"{place} > {self.of(last, 'place')}")
        if self.question.ties == "strict_time" and not any_order:
            tests.append(f"{ms} > {self.of(last, 'ms')}")
        mask = self.of("event", "mask")
        if any_order:
            tests.append(f"arrayExists(covered -> bitAnd({mask}, bitNot(covered)) != 0, done.3)")
        else:
            tests.append(f"bitTest({mask}, number)")
        if self.known.has("held"):
            tests.append(f"{self.of('event', 'held')} = {self.of(first, 'held')}")
        return " AND ".join(tests)

    def _is_step(self) -> str:
        found = f"{self.of('event', 'place')} != 0"
        if not needs_exclusions(self.question):
            return found
        outs, is_outs = self.of("event", "outs"), self.of("event", "is_outs")
        return f"{found} AND {outs}[number] - {is_outs}[number] <= {self.of('done.1[-1]', 'outs')}[number]"

    def _advanced(self) -> str:
        ms = self.of("event", "ms")
        return (
            f"(arrayPushBack(done.1, event), greatest(done.2, {ms}), {self._coverable('done.3', 'event')}, toUInt8(1))"
        )

    def _ended(self) -> str:
        return "(done.1, done.2, done.3, toUInt8(0))"

    def _coverable(self, covered: str, event: str) -> str:
        """Order `any`: each set of steps that the events so far and this one can be, every one another step."""
        if self.question.order != "any":
            return covered
        pairs = ", ".join(f"(toUInt32({2**step}), toUInt32({self._same_before(step)}))" for step in range(self.steps))
        is_free = f"bitAnd(pair.1, {self.of(event, 'mask')}) != 0 AND bitAnd(pair.1, steps) = 0"
        in_turn = "bitAnd(pair.2, steps) = pair.2"
        one_more = f"arrayMap(pair -> bitOr(steps, pair.1), arrayFilter(pair -> {is_free} AND {in_turn}, [{pairs}]))"
        return f"arrayDistinct(arrayFlatten(arrayMap(steps -> {one_more}, {covered})))"

    def _same_before(self, step: int) -> int:
        """The bits of the same steps before it: of twenty times the same it is enough to look at one."""
        steps = self.question.steps
        return sum(2**before for before in range(step) if _means_the_same(steps[before], steps[step]))

    def _exclusions(self) -> list[str]:
        """For every step but the last: how many events up to here, this one included, are excluded behind it."""
        columns = [f"{self.known.excluded('events')} AS all_excluded"]
        names = range(1, self.steps)
        for step in names:
            bits = sum(2**place for place in excluded_steps(self.question.exclusions, step))
            columns += [
                f"arrayMap(bits -> toInt64(bitAnd(bits, {bits}) != 0), all_excluded) AS is_out{step}",
                f"arrayCumSum(is_out{step}) AS out{step}",
            ]
        for name in ("out", "is_out"):
            each = ", ".join(f"{name}{step}" for step in names)
            args = ", ".join(f"a{step}" for step in names)
            columns.append(f"arrayMap(({args}) -> [{args}], {each}) AS all_{name}s")
        return columns


def _means_the_same(one: Selector, other: Selector) -> bool:
    return set(one.names) == set(other.names) and one.filter == other.filter
