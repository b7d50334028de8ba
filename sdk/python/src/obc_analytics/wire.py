"""Events as protobuf and as JSON, and results back. The only module that knows both."""

import json
from collections.abc import Sequence
from typing import Any

from obc_analytics._proto import event_pb2, ingest_pb2
from obc_analytics.errors import BrokenAnswer
from obc_analytics.event import TEXTS, Event
from obc_analytics.results import EventResult, Outcome

_OUTCOMES = {
    ingest_pb2.EVENT_OUTCOME_ACCEPTED: Outcome.ACCEPTED,
    ingest_pb2.EVENT_OUTCOME_DUPLICATE: Outcome.DUPLICATE,
    ingest_pb2.EVENT_OUTCOME_DROPPED: Outcome.DROPPED,
    ingest_pb2.EVENT_OUTCOME_REJECTED: Outcome.REJECTED,
}
_SPOKEN = {outcome.value: outcome for outcome in _OUTCOMES.values()}


def to_proto(events: Sequence[Event], sent_at_ms: int) -> ingest_pb2.EventBatch:
    """A typed batch; `sent_at_ms` is the client's clock at this very try."""
    return ingest_pb2.EventBatch(events=map(_proto, events), sent_at_ms=sent_at_ms)


def to_json(events: Sequence[Event], batch_id: str, sent_at_ms: int) -> bytes:
    """The body of `POST /v1/events:batch`."""
    # The properties are JSON already; decoding them only to encode them again would cost as much as all the rest.
    head = json.dumps({"batch_id": batch_id, "sent_at": sent_at_ms}, separators=(",", ":"))[:-1]
    return f'{head},"events":['.encode() + b",".join(map(_json, events)) + b"]}"


def results_of(events: Sequence[Event], answers: Sequence[ingest_pb2.EventResult]) -> list[EventResult]:
    """The results of a typed batch. Raises BrokenAnswer when they are not one for each event, in order."""
    _check_count(events, answers)
    return [
        _result(event, answer.event_id, _OUTCOMES.get(answer.result), answer.code, answer.field, answer.message)
        for event, answer in zip(events, answers, strict=True)
    ]


def results_of_json(events: Sequence[Event], body: bytes) -> list[EventResult]:
    """The results in a REST answer. Raises BrokenAnswer when they are not one for each event, in order."""
    try:
        answers: list[dict[str, Any]] = json.loads(body)["results"]
        _check_count(events, answers)
        return [
            _result(
                event,
                answer["event_id"],
                _SPOKEN.get(answer["result"]),
                answer.get("code", ""),
                answer.get("field", ""),
                answer.get("message", ""),
            )
            for event, answer in zip(events, answers, strict=True)
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BrokenAnswer("200", "the answer is not the results of the batch") from None


def _proto(event: Event) -> event_pb2.Event:
    return event_pb2.Event(
        event_id=event.event_id,
        timestamp_ms=event.timestamp_ms,
        properties_json=event.properties_json,
        device_info=event_pb2.DeviceInfo(**event.device_info) if event.device_info else None,  # type: ignore[arg-type]  # checked by make_event: numbers and texts under their own names
        consent=event.consent,
        **{name: getattr(event, name) for name in TEXTS},
    )


def _json(event: Event) -> bytes:
    fields: dict[str, Any] = {"event_id": event.event_id, "timestamp": event.timestamp_ms}
    fields.update((name, value) for name in TEXTS if (value := getattr(event, name)))
    if event.device_info:
        fields["device_info"] = dict(event.device_info)
    if event.consent is not None:
        fields["consent"] = event.consent
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    return text[:-1] + b',"properties":' + event.properties_json + b"}" if event.properties_json else text


def _check_count(events: Sequence[Event], answers: Sequence[object]) -> None:
    if len(answers) != len(events):
        raise BrokenAnswer("", f"{len(answers)} results for {len(events)} events")


def _result(event: Event, event_id: str, outcome: Outcome | None, code: str, field: str, message: str) -> EventResult:
    if outcome is None or event_id != event.event_id:
        raise BrokenAnswer("", f"no usable result for event {event.event_id}")
    return EventResult(event.event_id, event.event_name, outcome, code, field, message)
