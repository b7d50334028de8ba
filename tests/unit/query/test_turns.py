"""Whose statement is next: by what each tenant holds, never by who came first or asks most."""

import asyncio
from collections.abc import Iterator

import pytest

from obc_query.turns import Turns


class Desk:
    """Handles by number, and the order in which waiting callers got theirs."""

    def __init__(self, handles: int, *, most: int = 100) -> None:
        self.turns = Turns(range(handles), most=most)
        self.order: list[str] = []
        self.holding: dict[str, list[int]] = {}

    async def callers(self, names: str) -> list[asyncio.Task[None]]:
        """A waiting caller for each letter; the letter is the tenant."""
        tasks = [asyncio.create_task(self._take(name)) for name in names]
        await self.settle()
        return tasks

    async def give_back(self, name: str) -> None:
        """The tenant's oldest handle comes back."""
        self.turns.give_back(name, self.holding[name].pop(0))
        await self.settle()

    async def settle(self) -> None:
        """Lets everybody go on who can; two rounds are enough for a task and its cancellation."""
        for _ in range(3):
            await asyncio.sleep(0)

    async def _take(self, name: str) -> None:
        handle = await self.turns.take(name)
        self.holding.setdefault(name, []).append(handle)
        self.order.append(name)


@pytest.fixture
def waiting() -> Iterator[list[asyncio.Task[None]]]:
    tasks: list[asyncio.Task[None]] = []
    yield tasks
    for task in tasks:
        task.cancel()


async def test_a_tenant_alone_uses_handles_up_to_its_most(waiting: list[asyncio.Task[None]]) -> None:
    desk = Desk(8, most=3)
    waiting += await desk.callers("aaaaa")
    assert desk.order == ["a"] * 3
    await desk.give_back("a")
    assert desk.order == ["a"] * 4


async def test_a_free_handle_goes_to_the_tenant_that_holds_fewest(waiting: list[asyncio.Task[None]]) -> None:
    desk = Desk(4)
    waiting += await desk.callers("hhhh")
    waiting += await desk.callers("ab")
    waiting += await desk.callers("aac")
    assert "".join(desk.order) == "hhab"
    await desk.give_back("h")
    await desk.give_back("a")
    assert "".join(desk.order) == "hhabca"  # whoever held none
    await desk.give_back("b")
    assert "".join(desk.order) == "hhabca"  # the last one is kept, for each that waits has one
    await desk.give_back("c")
    assert "".join(desk.order) == "hhabcah"  # of h and a, h has waited longer


async def test_tenants_that_hold_the_same_take_turns_however_many_wait(waiting: list[asyncio.Task[None]]) -> None:
    desk = Desk(1)
    waiting += await desk.callers("x")
    waiting += await desk.callers("aaaabbc")
    for name in "xabcaba":
        await desk.give_back(name)
    assert "".join(desk.order) == "xabcabaa"


async def test_within_a_tenant_it_goes_by_arrival() -> None:
    turns = Turns(["handle"], most=1)
    held = await turns.take("a")
    order: list[int] = []

    async def take(number: int) -> None:
        thing = await turns.take("a")
        order.append(number)
        turns.give_back("a", thing)

    tasks = [asyncio.create_task(take(number)) for number in range(5)]
    await asyncio.sleep(0)
    turns.give_back("a", held)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]


async def test_heavy_tenants_leave_handles_for_one_that_has_none(waiting: list[asyncio.Task[None]]) -> None:
    desk = Desk(8)
    waiting += await desk.callers("aaaaaaaa")
    waiting += await desk.callers("bbbbbbbb")
    assert "".join(desk.order) == "aaaabb"
    waiting += await desk.callers("cd")
    assert "".join(desk.order) == "aaaabbcd"


async def test_a_caller_that_gives_up_while_it_waits_stands_in_nobodys_way(waiting: list[asyncio.Task[None]]) -> None:
    desk = Desk(1)
    waiting += await desk.callers("x")
    [gone, *rest] = await desk.callers("aab")
    waiting += rest
    gone.cancel()
    # In the very moment, before the caller has noticed.
    desk.turns.give_back("x", desk.holding["x"].pop())
    await desk.settle()
    assert desk.order == ["x", "b"]
    await desk.give_back("b")
    assert desk.order == ["x", "b", "a"]


async def test_a_handle_given_to_a_caller_that_gives_up_in_that_moment_is_not_lost(
    waiting: list[asyncio.Task[None]],
) -> None:
    desk = Desk(1)
    waiting += await desk.callers("x")
    [gone] = await desk.callers("a")
    desk.turns.give_back("x", desk.holding["x"].pop())  # handed to `gone`, which has not run yet
    gone.cancel()
    await desk.settle()
    waiting += await desk.callers("b")
    assert desk.order == ["x", "b"]


async def test_tenants_that_hold_or_wait_are_counted_once(waiting: list[asyncio.Task[None]]) -> None:
    desk = Desk(2)
    assert desk.turns.tenants == 0
    waiting += await desk.callers("aabc")
    assert (desk.order, desk.turns.tenants) == (["a", "b"], 3)
    for name in "baac":
        await desk.give_back(name)
    assert desk.turns.tenants == 0
