"""Asks every question three ways, turn by turn, and compares what the three say."""

import asyncio
import math
import statistics
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from google.protobuf import json_format

from bench.query_insights_activity import activity
from bench.query_insights_funnels import funnels
from bench.query_insights_paths import paths
from bench.query_insights_retention import retention
from bench.query_insights_trends import cohort_definition, trends
from bench.query_insights_vocabulary import vocabulary
from bench.query_question import CALLER, DAY, LINKED, TIMEOUT, UNLINKED, Days, Figures, Question, Rows
from bench.query_questions import Times, list_request, live, questions
from bench.query_service import SECRET, QueryProcess
from bench.query_store import DAYS, Store, say
from bench.query_traffic import BIG_TENANT, BIG_TENANT_SHARE
from obc.query.v1 import cohort_pb2, saved_service_pb2
from obc_common.clients import QueryClient, SavedClient
from obc_common.errors import DomainError
from obc_common.identity import IdentityMinter
from obc_query.questions.list_events import EventKey
from obc_query.requests import page_token

_POSTGRES_SECONDS = 20.0
_POSTGRES_TIMEOUT = 1_200.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is measured.

    Attributes:
        only: how the names of the questions begin; empty = all of them.
        runs: turns, beside one to warm up.
        with_postgres: whether PostgreSQL is asked too.
    """

    only: tuple[str, ...]
    runs: int
    with_postgres: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians in milliseconds; of PostgreSQL None where it was not asked.

    Attributes:
        question: what was asked.
        service: of the service.
        minimal: by hand.
        postgres: of PostgreSQL.
        peak_mb: most memory of the query process while the service answered for the first time.
        verdict: what a comparison of the answers says: `same`, what differs, or nothing where nothing is compared.
    """

    question: Question
    service: float
    minimal: float
    postgres: float | None
    peak_mb: float
    verdict: str

    @property
    def allowed(self) -> float:
        return 1.3 * self.minimal + 5

    @property
    def line(self) -> str:
        """Its line of the table."""
        slow = f"{self.postgres:>12.1f}{self.postgres / self.service:>9.1f}" if self.postgres else f"{'':>21}"
        ratio = f"{self.service / self.minimal:>8.2f}{'' if self.service <= self.allowed else ' over':<6}"
        return (
            f"{self.question.name:<38}{self.service:>10.1f}{self.minimal:>10.1f}{ratio}{slow}{self.peak_mb:>8.0f}"
            f"  {self.verdict}"
        )


async def measure(how: Measurement, store: Store, process: QueryProcess, dsn: str) -> list[Measured]:
    """Asks everything that is asked for."""
    minter = IdentityMinter(SECRET, "bench")
    address = f"127.0.0.1:{process.port}"
    client, saved = QueryClient(address, minter), SavedClient(address, minter)
    days = Days(store.until_ms // DAY * DAY)
    connection = await asyncpg.connect(dsn) if how.with_postgres else None
    measured: list[Measured] = []
    try:
        for question in await _questions(store, days, saved):
            if not how.only or question.name.startswith(how.only):
                measured.append(await _measured(question, how.runs, process, client, connection))
                say(measured[-1].line)
    finally:
        await client.close()
        await saved.close()
        if connection is not None:
            await connection.close()
    return measured


async def _questions(store: Store, days: Days, saved: SavedClient) -> list[Question]:
    people = LINKED if store.linked else UNLINKED
    insights = [
        *trends(days, people, await _cohort(days, saved)),
        *funnels(days, people),
        *retention(days, people),
        *activity(days, people),
        *paths(days, people),
        *vocabulary(days, people, int(store.events * BIG_TENANT_SHARE * 29 / DAYS)),
    ]
    if store.linked:
        return insights  # the statements of the others know people as events say by themselves
    deep = page_token(list_request(), BIG_TENANT, SECRET, EventKey(store.until_ms - 20 * DAY, uuid.UUID(int=0)))
    # The live view first: the made-up present does not last.
    return [*([live()] if store.fresh else []), *questions(Times(store.until_ms), deep), *insights]


async def _cohort(days: Days, saved: SavedClient) -> str:
    definition = json_format.ParseDict(cohort_definition(days), cohort_pb2.CohortDefinition())
    request = saved_service_pb2.CreateCohortRequest(name=f"bench {time.time_ns()}", definition=definition)
    made = await saved.call("CreateCohort", request, principal=CALLER, timeout=TIMEOUT)
    assert isinstance(made, saved_service_pb2.CreateCohortResponse)
    return made.cohort.cohort_id


async def _measured(
    question: Question, runs: int, process: QueryProcess, client: QueryClient,
    connection: "asyncpg.Connection[asyncpg.Record] | None",
) -> Measured:  # fmt: skip
    service: list[float] = []
    minimal: list[float] = []
    slow: list[float] = []
    said: Any = None
    told: dict[str, Sequence[Rows]] = {}
    peak = 0.0
    for turn in range(runs + 1):
        if not turn:
            process.forget_peak()
        started = time.perf_counter()
        try:
            said = await question.ask(client)
        except DomainError as error:
            raise RuntimeError(question.name) from error
        elapsed = (time.perf_counter() - started) * 1000
        if not turn:  # the first one warms up
            peak = process.rss_mb()[1]
        by_hand = await asyncio.to_thread(process.run, *question.minimal)
        if turn:
            service.append(elapsed)
            minimal.append(by_hand["ms"])
        told["by hand"] = by_hand["rows"]
    if connection is not None:
        slow, told["PostgreSQL"] = await _postgres(connection, question.postgres)
    return Measured(
        question, statistics.median(service), statistics.median(minimal), statistics.median(slow) if slow else None,
        peak, _verdict(question, said, told),
    )  # fmt: skip


async def _postgres(
    connection: "asyncpg.Connection[asyncpg.Record]", statements: Sequence[str]
) -> tuple[list[float], list[Rows]]:
    """Times of at least one turn, and the rows; a first turn that is over soon only warms up."""
    times: list[float] = []
    rows: list[Rows] = []
    began = time.perf_counter()
    while len(times) < 2 or (len(times) < 6 and time.perf_counter() - began < _POSTGRES_SECONDS):
        started = time.perf_counter()
        rows = [
            [tuple(row) for row in await connection.fetch(statement, timeout=_POSTGRES_TIMEOUT)]
            for statement in statements
        ]
        times.append((time.perf_counter() - started) * 1000)
        if time.perf_counter() - began > _POSTGRES_SECONDS:
            break
    return times[1:] or times, rows


def _verdict(question: Question, answer: Any, told: dict[str, Sequence[Rows]]) -> str:
    if question.said is None or question.told is None:
        return ""
    expected = question.said(answer)
    differences = [
        f"{who} differs: {difference}"
        for who, rows in told.items()
        if (difference := _difference(expected, question.told(rows), question.within))
    ]
    return "; ".join(differences) or f"same {len(expected)} figures"


def _difference(expected: Figures, found: Figures, within: float) -> str:
    if len(expected) != len(found):
        return f"{len(found)} figures for {len(expected)}"
    for place, (one, other) in enumerate(zip(expected, found, strict=True)):
        if not math.isclose(one, other, rel_tol=within, abs_tol=1e-9):
            return f"figure {place}, {other} for {one}"
    return ""
