"""Typed protobuf events into the one internal form, and results back. The only module that knows both."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson

from obc.common.v1 import event_pb2
from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_ingest.decode import check_size
from obc_ingest.limits import Limits
from obc_ingest.model import BatchResult, DecodedBatch, EventResult, Outcome
from obc_ingest.timestamps import plausible_ms

# By number: making a field's name anew for every event is what costs.
_DEVICE_FIELDS = {field.number: field.name for field in event_pb2.DeviceInfo.DESCRIPTOR.fields}

_CACHED_DEVICE_BYTES = 1024

_OUTCOMES = {
    Outcome.ACCEPTED: pb.EVENT_OUTCOME_ACCEPTED,
    Outcome.DUPLICATE: pb.EVENT_OUTCOME_DUPLICATE,
    Outcome.DROPPED: pb.EVENT_OUTCOME_DROPPED,
    Outcome.REJECTED: pb.EVENT_OUTCOME_REJECTED,
}


def decode_typed(batch: pb.EventBatch, batch_id: str, limits: Limits) -> DecodedBatch:
    """A typed batch. Raises what `decode.check_size` raises."""
    size = batch.ByteSize()
    check_size(size, len(batch.events), limits)
    return DecodedBatch([_event(event) for event in batch.events], plausible_ms(batch.sent_at_ms), batch_id[:200], size)


def encode_results(results: list[EventResult]) -> list[pb.EventResult]:
    """Results as messages."""
    return [
        pb.EventResult(event_id=r.event_id, result=_OUTCOMES[r.outcome], code=r.code, field=r.field, message=r.message)
        for r in results
    ]


def encode_results_json(results: list[EventResult]) -> bytes:
    """Results as the JSON array of a WebSocket ack."""
    return orjson.dumps([_result(result) for result in results])


def encode_result_lines(results: Iterable[tuple[int, EventResult]]) -> bytes:
    """Results of an import as NDJSON, each with the number of its line."""
    return b"".join(
        orjson.dumps({"line": line, **_result(result)}, option=orjson.OPT_APPEND_NEWLINE) for line, result in results
    )


def wanted_results(
    results: Sequence[tuple[int, EventResult]], wanted: pb.ImportResults.ValueType
) -> Sequence[tuple[int, EventResult]]:
    """The results that an import's caller wants to be listed."""
    if wanted == pb.IMPORT_RESULTS_NONE:
        return ()
    if wanted == pb.IMPORT_RESULTS_PROBLEMS:
        return [(line, r) for line, r in results if r.outcome in (Outcome.REJECTED, Outcome.DROPPED)]
    return results


def encode_outcome(outcome: Outcome) -> pb.EventOutcome.ValueType:
    """An outcome as the message has it."""
    return _OUTCOMES[outcome]


def encode_batch_json(batch: BatchResult) -> bytes:
    """The whole REST answer."""
    answer: dict[str, Any] = {"batch_id": batch.batch_id}
    for outcome in Outcome:
        answer[outcome.value] = batch.count(outcome)
    answer["results"] = [_result(result) for result in batch.results]
    return orjson.dumps(answer)


def _result(result: EventResult) -> dict[str, str]:
    answer = {"event_id": result.event_id, "result": result.outcome.value}
    if result.code:
        answer["code"] = result.code
    if result.field:
        answer["field"] = result.field
    if result.message:
        answer["message"] = result.message
    return answer


def _event(event: event_pb2.Event) -> dict[str, Any]:
    """The object a JSON client would have sent: protobuf's empty values are absent ones.

    Spelled out, since this runs for every event: a loop over names costs five times as much.
    """
    raw: dict[str, Any] = {}
    if text := event.event_id:
        raw["event_id"] = text
    if text := event.event_name:
        raw["event_name"] = text
    if text := event.event_category:
        raw["event_category"] = text
    if text := event.user_id:
        raw["user_id"] = text
    if text := event.anonymous_id:
        raw["anonymous_id"] = text
    if text := event.session_id:
        raw["session_id"] = text
    if text := event.page_url:
        raw["page_url"] = text
    if text := event.referrer:
        raw["referrer"] = text
    if text := event.user_agent:
        raw["user_agent"] = text
    if text := event.correlation_id:
        raw["correlation_id"] = text
    if text := event.tenant_id:
        raw["tenant_id"] = text
    if event.timestamp_ms:
        raw["timestamp"] = event.timestamp_ms
    if event.properties_json:
        raw["properties"] = _properties(event.properties_json)
    if event.HasField("device_info"):
        raw["device_info"] = _device_info(event.device_info)
    if event.HasField("consent"):
        raw["consent"] = event.consent
    return raw


def _device_info(device: event_pb2.DeviceInfo) -> dict[str, Any]:
    # The events of a batch come from few devices: each is read once. An absurdly long one is not worth the memory.
    message = device.SerializeToString()
    return (_known_device(message) if len(message) <= _CACHED_DEVICE_BYTES else _read_device(message)).copy()


def _read_device(message: bytes) -> dict[str, Any]:
    fields = event_pb2.DeviceInfo.FromString(message).ListFields()
    return {_DEVICE_FIELDS[field.number]: value for field, value in fields}


_known_device = lru_cache(maxsize=1024)(_read_device)


def _properties(text: bytes) -> Any:
    """The properties, or, when they are no JSON, their text: no object either, so that the event becomes a bad row."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.decode("utf-8", "replace")
