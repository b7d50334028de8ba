"""Answers with their freshness and cost, from the cache or the engine."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from obc.query.v1 import metrics_pb2
from obc_common.clock import Clock
from obc_query.answer_cache import AnswerCache
from obc_query.asker import Asker, AskerFactory, Run
from obc_query.freshness import Freshness
from obc_query.identity.unlinked import Unlinked


class Response(Protocol):
    """A message that says how fresh it is and what it cost."""

    @property
    def info(self) -> metrics_pb2.AnswerInfo:
        """Freshness and cost."""
        ...

    def SerializeToString(self) -> bytes: ...  # protobuf's name

    @classmethod
    def FromString(cls, s: bytes) -> Self: ...  # protobuf's name


_Response = TypeVar("_Response", bound=Response)


@dataclass(frozen=True, slots=True)
class Recording:
    """How an answer came about.

    Attributes:
        runs: the statements.
        info: freshness and cost.
        was_kept: whether the answer was in the cache all the same.
    """

    runs: Sequence[Run]
    info: metrics_pb2.AnswerInfo
    was_kept: bool


class CachedAnswers:
    """Answers questions, each at most once for every data version and what is decided about links."""

    def __init__(self, askers: AskerFactory, cache: AnswerCache, freshness: Freshness, clock: Clock) -> None:
        self._askers = askers
        self._cache = cache
        self._freshness = freshness
        self._clock = clock

    async def answer(
        self,
        response_type: type[_Response],
        tenant_id: str,
        key: bytes,
        compute: Callable[[Asker], Awaitable[_Response]],
        timeout: float,
    ) -> _Response:
        """The answer to a question.

        Args:
            response_type: of the message.
            tenant_id: whose question.
            key: its canonical bytes.
            compute: asks the engine; may set `info.sampled`.
            timeout: seconds.

        Raises what `compute` raises, and ResourceExhausted(TENANT_BUSY).
        """
        # In this order: what the answer sees is at least the version, and the version at least the moment.
        as_of_ms = self._freshness.as_of_ms
        unlinked = await self._askers.unlinked.of(tenant_id)
        version = _version(self._freshness.version(tenant_id), unlinked)

        async def computed() -> bytes:
            started = self._clock.monotonic()
            async with self._askers.question(tenant_id, timeout, unlinked) as asker:
                response = await compute(asker)
            response.info.elapsed_ms = round((self._clock.monotonic() - started) * 1000, 1)
            response.info.rows_read, response.info.bytes_read = asker.rows_read, asker.bytes_read
            return response.SerializeToString()

        data, cached = await self._cache.answer(tenant_id, key, version, computed)
        response = response_type.FromString(data)
        response.info.data_version = version
        response.info.as_of_ms = as_of_ms
        response.info.cached = cached
        return response

    async def record(
        self, tenant_id: str, key: bytes, compute: Callable[[Asker], Awaitable[Response]], timeout: float
    ) -> Recording:
        """Answers past the cache and tells how. Arguments and errors as above."""
        as_of_ms = self._freshness.as_of_ms
        unlinked = await self._askers.unlinked.of(tenant_id)
        version = _version(self._freshness.version(tenant_id), unlinked)
        info = metrics_pb2.AnswerInfo(as_of_ms=as_of_ms, data_version=version)
        was_kept = await self._cache.holds(tenant_id, key, info.data_version)
        started = self._clock.monotonic()
        async with self._askers.recorded_question(tenant_id, timeout, unlinked) as asker:
            response = await compute(asker)
        info.elapsed_ms = round((self._clock.monotonic() - started) * 1000, 1)
        info.rows_read, info.bytes_read = asker.rows_read, asker.bytes_read
        info.sampled = response.info.sampled
        return Recording(asker.runs, info, was_kept)


def _version(data: str, unlinked: Unlinked) -> str:
    return f"{data}-{unlinked.version}" if unlinked.version else data
