"""What the server says on an ingest WebSocket, as text frames in UTF-8."""

from collections.abc import Sequence

import orjson

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_gateway.transcoding.encoding import to_json


def ready(message: pb.StreamReady) -> bytes:
    """The stream is open."""
    return orjson.dumps({"type": "ready", **to_json(message)})


def ack(message: pb.StreamAck) -> bytes:
    """A batch is stored. The results are ingest's JSON, as they are."""
    results = orjson.Fragment(message.results_json or b"[]")
    return orjson.dumps({"type": "ack", "seq": message.seq, "results": results, "credits": message.credits})


def retry(message: pb.StreamRetry) -> bytes:
    """A batch is not stored."""
    return orjson.dumps({"type": "retry", **to_json(message)})


def retry_all(seqs: Sequence[int], retry_after_ms: int) -> list[bytes]:
    """The stream broke: the outcome of these batches is unknown, and sending them again is safe."""
    return [
        retry(pb.StreamRetry(seq=seq, retry_after_ms=retry_after_ms, reason="UNAVAILABLE", message="Send it again."))
        for seq in seqs
    ]


def config(message: pb.ClientConfig) -> bytes:
    """The tenant's rules changed."""
    return orjson.dumps({"type": "config", "config": to_json(message)})


def reconnect(reason: str) -> bytes:
    """Please open a new socket; this one ends soon."""
    return orjson.dumps({"type": "reconnect", "reason": reason})


def heartbeat(timestamp: int | float | None, server_time: int) -> bytes:
    """The echo of a heartbeat."""
    return orjson.dumps({"type": "heartbeat", "timestamp": timestamp, "server_time": server_time})


def error(reason: str, message: str) -> bytes:
    """The last frame was not understood; nothing was stored of it."""
    return orjson.dumps({"type": "error", "reason": reason, "message": message})
