"""POST /v1/import: NDJSON in, NDJSON out, both at once and of any length."""

import asyncio
from collections.abc import Mapping

import orjson
from aiohttp import web

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.clients import IngestClient
from obc_common.errors import Cancelled, DomainError, InvalidArgument, PermissionDenied, error_body
from obc_common.logs import get_logger
from obc_gateway import metrics
from obc_gateway.bodies.budget import BodyBudget
from obc_gateway.bodies.inflate_stream import open_stream_inflater
from obc_gateway.edge.request_info import RequestReader
from obc_gateway.rest.import_stream import CHUNK_BYTES, CHUNKS_UNDER_WAY, ImportStream, Tally
from obc_gateway.rest.unary import ApiAccess
from obc_gateway.settings import Settings
from obc_gateway.sockets.admission import SocketAdmission

_log = get_logger(__name__)

MEDIA_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
_RESULTS = {
    "all": pb.IMPORT_RESULTS_ALL,
    "problems": pb.IMPORT_RESULTS_PROBLEMS,
    "none": pb.IMPORT_RESULTS_NONE,
}
_MAX_LINE_NUMBER = 2**53


class ImportHandler:
    """Takes imports.

    Args:
        settings: limits.
        client: ingest.
        access: admits callers.
        admission: bounds open streams.
        reader: what is passed on about the request.
        budget: bytes of all bodies under way.
        draining: set when the process is about to end.
    """

    def __init__(
        self,
        settings: Settings,
        client: IngestClient,
        access: ApiAccess,
        admission: SocketAdmission,
        reader: RequestReader,
        budget: BodyBudget,
        draining: asyncio.Event,
    ) -> None:
        self._settings = settings
        self._client = client
        self._access = access
        self._admission = admission
        self._reader = reader
        self._budget = budget
        self._draining = draining

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one request. Until the first answer of ingest a failure has a status of its own."""
        principal = await self._access.admit(request)
        principal.require_scope("ingest")
        if principal.kind == "write":
            raise PermissionDenied("SECRET_KEY_REQUIRED", "An import needs a secret key with the scope 'ingest'.")
        first_line, results = _first_line(request.query), _wanted_results(request.query)
        _check_media_type(request.headers.get("Content-Type", ""))
        inflater = open_stream_inflater(",".join(request.headers.getall("Content-Encoding", ())))
        with self._admission.admit("import"), self._budget.hold(principal.tenant_id or principal.subject) as held:
            # A chunk being filled, those under way, and what inflates at once.
            held.grow((CHUNKS_UNDER_WAY + 1) * CHUNK_BYTES)
            call = self._client.import_events(principal=principal, info=self._reader.info(request, "rest"))
            try:
                stream = ImportStream(
                    request,
                    call,
                    inflater,
                    first_line=first_line,
                    results=results,
                    idle_seconds=self._settings.import_idle_seconds,
                    draining=self._draining,
                )
                answer = _Answer(request, self._settings.socket_send_seconds)
                return await _relay(stream, answer, Tally(first_line))
            finally:
                call.cancel()


async def _relay(stream: ImportStream, answer: "_Answer", tally: Tally) -> web.StreamResponse:
    async for chunk in stream.answers():
        tally.add(chunk)
        await answer.write(chunk.results_ndjson)
    failure = stream.failure
    if failure is not None:
        if isinstance(failure, Cancelled) or not answer.begun:
            raise failure
        metrics.ERRORS.labels(failure.reason).inc()
        _log.info("import_ended_early", reason=failure.reason, next_line=tally.next_line)
        await answer.write(orjson.dumps(error_body(failure), option=orjson.OPT_APPEND_NEWLINE))
    await answer.write(tally.line(complete=failure is None))
    return await answer.end(reusable=failure is None)


class _Answer:
    """The client's end, begun with the first line."""

    def __init__(self, request: web.Request, send_seconds: float) -> None:
        self._request = request
        self._send_seconds = send_seconds
        self._response = web.StreamResponse(headers={"Content-Type": MEDIA_TYPES[0], "X-Accel-Buffering": "no"})

    @property
    def begun(self) -> bool:
        """True once the status is sent."""
        return self._response.prepared

    async def write(self, lines: bytes) -> None:
        """Sends lines. Raises Cancelled(CLIENT_GONE), also for a client that does not read."""
        try:
            async with asyncio.timeout(self._send_seconds):
                if not self.begun:
                    await self._response.prepare(self._request)
                if lines:
                    await self._response.write(lines)
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise _gone() from None
        except ConnectionError as error:
            raise _gone() from error

    async def end(self, *, reusable: bool) -> web.StreamResponse:
        """Ends the answer; a connection with an unread body on it cannot be used again."""
        if not reusable:
            self._response.force_close()
        try:
            await self._response.write_eof()
        except ConnectionError as error:
            raise _gone() from error
        return self._response


def _gone() -> DomainError:
    return Cancelled("CLIENT_GONE", "The client closed the connection.")


def _check_media_type(header: str) -> None:
    if header.partition(";")[0].strip().lower() not in MEDIA_TYPES:
        raise InvalidArgument("UNSUPPORTED_MEDIA_TYPE", f"Content-Type must be {MEDIA_TYPES[0]}.")


def _first_line(query: Mapping[str, str]) -> int:
    unknown = sorted(set(query) - {"first_line", "results"})
    if unknown:
        raise InvalidArgument("UNKNOWN_FIELD", f"There is no parameter {unknown[0][:64]}.", field=unknown[0][:64])
    text = query.get("first_line", "1")
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and 1 <= int(text) <= _MAX_LINE_NUMBER):
        raise InvalidArgument("BAD_FIELD", "first_line must be a whole number from 1.", field="first_line")
    return int(text)


def _wanted_results(query: Mapping[str, str]) -> pb.ImportResults.ValueType:
    wanted = _RESULTS.get(query.get("results", "all"))
    if wanted is None:
        raise InvalidArgument("BAD_FIELD", "results must be all, problems or none.", field="results")
    return wanted
