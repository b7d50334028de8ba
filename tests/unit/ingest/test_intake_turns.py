"""What is unpacked at once is bounded, whatever arrives."""

import asyncio

from obc_ingest.intake import Intake
from tests.support.eventually import eventually


class Batches:
    """Batches that hold their turn until they are let go."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.begun: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def arrive(self, name: str, size: int, tenant: str = "tenant") -> None:
        self.gates[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._run(name, size, tenant))
        await asyncio.sleep(0)

    async def end(self, name: str) -> None:
        self.gates[name].set()
        await self.tasks[name]

    async def _run(self, name: str, size: int, tenant: str) -> None:
        async with self.intake.turn(tenant, size):
            self.begun.append(name)
            await self.gates[name].wait()


async def test_turns_are_taken_in_order_and_within_the_bound() -> None:
    batches = Batches(Intake(10, 64))
    for name, size in (("a", 6), ("b", 4), ("c", 5), ("d", 1)):
        await batches.arrive(name, size)
    # given two that fill the bound, then the next waits, and a small one does not overtake it
    await eventually(lambda: batches.begun == ["a", "b"])
    # when one ends
    await batches.end("a")
    await eventually(lambda: batches.begun == ["a", "b", "c", "d"])
    for name in ("b", "c", "d"):
        await batches.end(name)


async def test_a_batch_over_the_bound_is_unpacked_alone() -> None:
    batches = Batches(Intake(10, 64))
    await batches.arrive("large", 50)
    await batches.arrive("small", 1)
    await eventually(lambda: batches.begun == ["large"])
    await batches.end("large")
    await eventually(lambda: batches.begun == ["large", "small"])
    await batches.end("small")


async def test_only_so_many_have_their_turn_and_tenants_take_turns() -> None:
    batches = Batches(Intake(1000, 1))
    for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
        await batches.arrive(name, 1, tenant=name[0])
    order = ["a1", "a2", "b1", "c1", "a3", "b2"]
    for number, name in enumerate(order, 1):
        await eventually(lambda begun=order[:number]: batches.begun == begun)  # type: ignore[misc]  # bound now
        await batches.end(name)


async def test_a_caller_that_gives_up_leaves_its_place() -> None:
    batches = Batches(Intake(10, 64))
    for name in ("a", "b", "c"):
        await batches.arrive(name, 10)
    # when one gives up while it waits, and another at the very moment it is called
    batches.tasks["b"].cancel()
    batches.gates["a"].set()
    await asyncio.wait({batches.tasks["a"], batches.tasks["b"]})
    await eventually(lambda: batches.begun == ["a", "c"])
    await batches.arrive("d", 10)
    batches.gates["c"].set()
    await asyncio.sleep(0)
    batches.tasks["d"].cancel()
    await asyncio.wait(set(batches.tasks.values()))
    # then nothing is held any more
    async with batches.intake.turn("tenant", 30):
        pass
