"""Ingest, as the gateway sees it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson

from obc.ingest.v1 import ingest_service_pb2 as ingest_pb
from obc.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from obc_common.errors import DomainError, InvalidArgument
from tests.support.fake_services.recorder import Recorder


def result_for(event: Any) -> dict[str, str]:
    """What the fake ingest says of one event: it takes everything that has an id."""
    if isinstance(event, dict) and event.get("event_id"):
        return {"event_id": str(event["event_id"]), "result": "accepted"}
    return {"event_id": "", "result": "rejected", "code": "bad_event_id"}


class FakeIngest:
    """Ingest: parses JSON as the real one does, accepts every event with an id, stores nothing."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.failure: DomainError | None = None
        self.credits = 8
        self.ack_gate = asyncio.Event()
        self.ack_gate.set()
        self.delay_gate = asyncio.Event()
        self.delay_gate.set()
        self.waiting = 0
        self.stream_requests: list[ingest_pb.IngestStreamRequest] = []
        self.import_requests: list[ingest_pb.ImportEventsRequest] = []
        self.stream_ends = 0
        self.pushes: asyncio.Queue[ingest_pb.IngestStreamResponse] = asyncio.Queue()
        self.events: list[Any] = []

    def servicer(self) -> Any:
        fake = self

        class Servicer(ingest_grpc.IngestServiceServicer):
            async def IngestBatch(self, request: Any, _context: Any) -> Any:
                fake.recorder.record("IngestBatch", request)
                fake.waiting += 1
                await fake.delay_gate.wait()
                if fake.failure:
                    raise fake.failure
                return fake._batch(request)

            async def IngestStream(self, requests: Any, _context: Any) -> Any:
                fake.recorder.record("IngestStream", None)
                if fake.failure:
                    raise fake.failure
                yield ingest_pb.IngestStreamResponse(
                    ready=ingest_pb.StreamReady(
                        credits=fake.credits,
                        server_time_ms=1,
                        config=ingest_pb.ClientConfig(enabled=True, tracking_level="standard", sampling_rate=1.0),
                    )
                )
                try:
                    async for answer in fake._stream(requests):
                        yield answer
                finally:
                    fake.stream_ends += 1

            async def ImportEvents(self, requests: Any, _context: Any) -> Any:
                fake.recorder.record("ImportEvents", None)
                try:
                    async for request in requests:
                        fake.import_requests.append(request)
                        await fake.ack_gate.wait()
                        if fake.failure:
                            raise fake.failure
                        yield fake._import(request)
                finally:
                    fake.stream_ends += 1

            async def ReplayBadRows(self, request: Any, _context: Any) -> Any:
                return fake.recorder.answer("ReplayBadRows", request)

        return Servicer()

    def _import(self, request: Any) -> Any:
        lines = request.lines.split(b"\n")
        results = [{"line": request.first_line + index, "result": "accepted"} for index in range(len(lines))]
        return ingest_pb.ImportEventsResponse(
            next_line=request.first_line + len(lines),
            results_ndjson=b"".join(orjson.dumps(result) + b"\n" for result in results),
            accepted=len(lines),
        )

    def _batch(self, request: Any) -> Any:
        try:
            body = orjson.loads(request.json)
        except orjson.JSONDecodeError:
            raise InvalidArgument("BAD_JSON", "not JSON") from None
        events = body.get("events", []) if isinstance(body, dict) else []
        if not events:
            raise InvalidArgument("EMPTY_BATCH", "no events")
        self.events += events
        results = [result_for(event) for event in events]
        accepted = sum(result["result"] == "accepted" for result in results)
        answer = {
            "batch_id": body.get("batch_id", ""),
            "accepted": accepted,
            "duplicate": 0,
            "dropped": 0,
            "rejected": len(results) - accepted,
            "results": results,
        }
        return ingest_pb.IngestBatchResponse(json=orjson.dumps(answer))

    async def _stream(self, requests: Any) -> AsyncIterator[Any]:
        outbox: asyncio.Queue[Any] = asyncio.Queue()

        async def receive() -> None:
            async for request in requests:
                self.stream_requests.append(request)
                await self.ack_gate.wait()
                await outbox.put(self._ack(request))
            await outbox.put(None)

        async def push() -> None:
            while True:
                await outbox.put(await self.pushes.get())

        tasks = [asyncio.create_task(receive()), asyncio.create_task(push())]
        try:
            while (answer := await outbox.get()) is not None:
                yield answer
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _ack(self, request: Any) -> Any:
        frame = orjson.loads(request.json)
        events = frame.get("events", [frame])
        self.events += events
        results = orjson.dumps([result_for(event) for event in events])
        ack = ingest_pb.StreamAck(seq=request.seq, credits=self.credits, results_json=results)
        return ingest_pb.IngestStreamResponse(ack=ack)
