"""Whether a question meets sampled events. Usually not, and what assumes that is cheaper and starts at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from obc_query.asker import Asker
from obc_query.statement import Binder, Events, Select, Statement

_Answer = TypeVar("_Answer")


async def answer_sampled_or_not(
    asker: Asker,
    tenant_id: str,
    events: Events,
    binder: Binder,
    answer: Callable[[bool], Awaitable[_Answer]],
) -> tuple[_Answer, bool]:
    """The answer, and whether one of the events stands for more than itself.

    Args:
        asker: the question's access.
        tenant_id: whose.
        events: what the question is about.
        binder: of `events`.
        answer: answers, told whether events are sampled. It begins with no; what it does is ended when that is wrong.

    Raises what the engine raises.
    """
    guess = asyncio.ensure_future(answer(False))
    try:
        if not await _meets_sampled(asker, tenant_id, events, binder):
            return await guess, False
    finally:
        guess.cancel()  # no effect on one that is done
        await asyncio.gather(guess, return_exceptions=True)
    return await answer(True), True


async def _meets_sampled(asker: Asker, tenant_id: str, events: Events, binder: Binder) -> bool:
    # An index on the rate answers without reading events. Conditions wait until there is something to tell apart: who
    # is in a cohort, for one, would be found out here a second time.
    for where in ([], events.where) if events.where else ([],):
        sampled = Events(events.start, events.end, [*where, "sample_rate < 1"])
        if not await asker.fetch(Statement(tenant_id, "sampled", Select(["1"], sampled, limit=1), binder)):
            return False
    return True
