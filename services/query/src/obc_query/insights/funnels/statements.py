"""Statements of funnels: attempts, and what they come to."""

from collections.abc import Sequence

from obc_query.insights.funnels.attempts import attempts_one_by_one
from obc_query.insights.funnels.chains import best_chains, can_chain
from obc_query.insights.funnels.layout import layout
from obc_query.insights.funnels.question import FunnelQuestion
from obc_query.questions.expressions import OTHER
from obc_query.statement import Binder, Select, Statement

_BEFORE = "arrayPopBack(times)"
_WHOLE = "greatest(toInt64(0), times[-1] - times[1])"


def needs_ids(question: FunnelQuestion, *, sampled: bool) -> bool:
    """Whether without ids of events the answer may be in doubt."""
    return bool(layout(question, sampled=sampled, held_first=False, with_ids=False).in_doubt)


def funnel_statement(tenant_id: str, question: FunnelQuestion, *, sampled: bool, with_ids: bool) -> Statement:
    """What the attempts come to, a row for each value of the breakdown that is told apart, `$other` last.

    Rows: value; for every step how many came; for every step but the first the sum of the weighted times from the step
    before, and (median, 90th percentile); starts of buckets and how many entered in them; starts of buckets and how
    many of those converted; numbers of bars and how many are in them; the shortest time and the width of the bars.
    Without ids, where it needs them, at last whether the row is in doubt.
    """
    binder = Binder()
    find = best_chains if can_chain(question) else attempts_one_by_one
    attempts = find(question, binder, sampled=sampled, with_ids=with_ids)
    doubt = [] if with_ids or not needs_ids(question, sampled=sampled) else ["in_doubt"]
    if question.breakdown is not None:
        attempts = _told_apart(attempts, question.breakdown.values, doubt)
    since = f"arrayMap((time, before) -> greatest(toInt64(0), time - before), arrayPopFront(times), {_BEFORE})"
    columns = [
        "any(label) AS value",
        "sumForEach(arrayMap(time -> toFloat64(weight), times)) AS counts",
        f"sumForEach(arrayMap(time -> time * toFloat64(weight), {since} AS since)) AS sums",
        "quantilesExactInclusiveForEach(0.5, 0.9)(since) AS quantiles",
        *_trend(question, binder),
        *_bars(question),
        *(f"max({column})" for column in doubt),
    ]
    if question.breakdown is None:
        return Statement(tenant_id, "funnel", Select(columns, attempts), binder)
    select = Select(columns, attempts, group_by=["place"], order_by=["place = 0", "place"])
    return Statement(tenant_id, "funnel", select, binder)


def _told_apart(attempts: Select, values: int, doubt: Sequence[str]) -> Select:
    """Attempts with the place of their value: 1, 2, ... for those with most entries, 0 for `$other`."""
    each = ["times", "weight", *doubt]
    weighed = Select([*each, "label AS own", "sum(weight) OVER (PARTITION BY label) AS entries"], attempts)
    order = f"own = '{OTHER}', entries DESC, own"
    ranked = Select([*each, "own", f"dense_rank() OVER (ORDER BY {order}) AS ranked"], weighed)
    place = f"if(ranked <= {int(values)} AND own != '{OTHER}', ranked, 0)"
    return Select([*each, f"{place} AS place", f"if(place = 0, '{OTHER}', own) AS label"], ranked)


def _trend(question: FunnelQuestion, binder: Binder) -> list[str]:
    if question.trend is None:
        return ["([], [])", "([], [])"]
    bucket = question.trend.expression("times[1]", binder)
    converted = f"length(times) = {len(question.steps)}"
    maps = f"[{bucket}], [toFloat64(weight)]"
    return [f"sumMap({maps})", f"sumMapIf({maps}, {converted})"]


def _bars(question: FunnelQuestion) -> list[str]:
    """The histogram of whole times: (numbers of bars, counts), the shortest time, the width of a bar."""
    if not question.bars:
        return ["([], [])", "0", "0"]
    converted = f"length(times) = {len(question.steps)}"
    bars = int(question.bars)
    number = f"least(intDiv(whole - shortest, width), {bars - 1})"
    return [
        f"arrayReduce('sumMap', arrayMap(whole -> [{number}], wholes), arrayMap(each -> [each], weights)) AS counted",
        f"minIf({_WHOLE}, {converted}) AS shortest",
        f"greatest(1, intDiv(maxIf({_WHOLE}, {converted}) - shortest + {bars - 1}, {bars})) AS width",
        f"groupArrayIf({_WHOLE}, {converted}) AS wholes",
        f"groupArrayIf(toFloat64(weight), {converted}) AS weights",
    ]
