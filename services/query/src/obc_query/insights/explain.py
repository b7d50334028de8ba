"""How an insight is computed: its question as it was understood, and the statements that were run.

One way for every insight: the insight answers as always, through an asker that keeps what it is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from google.protobuf.message import Message

from obc.query.v1 import explain_pb2
from obc_common.errors import InvalidArgument
from obc_common.transcoding.decoding import merge_body, parse_object
from obc_query.asker import Run
from obc_query.buckets import Buckets
from obc_query.cached_answers import Recording
from obc_query.fields import Field
from obc_query.insights.insight import AnyInsight, Question
from obc_query.insights.registry import INSIGHTS, request_type


@dataclass(frozen=True, slots=True)
class ExplainQuestion:
    """An insight that is to be explained.

    Attributes:
        name: of the insight in the API.
        insight: what it is.
        request: what it is asked.
        question: the same, checked.
    """

    name: str
    insight: AnyInsight
    request: Message
    question: Question


def read(request: explain_pb2.ExplainInsightRequest, now_ms: int) -> ExplainQuestion:
    """Checks a request.

    Raises:
        InvalidArgument: UNKNOWN_INSIGHT, or what the insight itself says, about `request.<field>`.
    """
    insight = INSIGHTS.get(request.insight)
    if insight is None:
        raise InvalidArgument("UNKNOWN_INSIGHT", f"insight is one of {', '.join(INSIGHTS)}", field="insight")
    message = request_type(insight)()
    try:
        merge_body(message, parse_object(request.request_json))
        question = insight.read(message, now_ms)
    except InvalidArgument as error:
        field = f"request.{error.field}" if error.field else "request"
        raise InvalidArgument(error.reason, error.message, field=field, metadata=error.metadata) from error
    return ExplainQuestion(request.insight, insight, message, question)


def response(asked: ExplainQuestion, recording: Recording) -> explain_pb2.ExplainInsightResponse:
    """What was recorded, as a message."""
    return explain_pb2.ExplainInsightResponse(
        insight=asked.name,
        plan_json=orjson.dumps(plan(asked.question)),
        statements=[_statement(run) for run in recording.runs],
        answer_is_cached=recording.was_kept,
        info=recording.info,
    )


def plan(value: Any) -> Any:
    """A part of a question as JSON: fields by their names, zones by theirs, buckets by their number and ends."""
    if isinstance(value, Field):
        return value.name
    if isinstance(value, ZoneInfo):
        return value.key
    if isinstance(value, Buckets):
        return {"count": len(value.starts), "first_start_ms": value.starts[0], "end_ms": value.end}
    if is_dataclass(value):
        return {field.name: plan(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plan(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [plan(member) for member in value]
    if isinstance(value, set | frozenset):
        return sorted(map(plan, value), key=str)
    if value is None or isinstance(value, str | int | float):
        return value
    # Functions that a part of a question stands for.
    return getattr(value, "__name__", type(value).__name__)


def _statement(run: Run) -> explain_pb2.ExplainedStatement:
    message = explain_pb2.ExplainedStatement(
        purpose=run.statement.purpose,
        sql=run.statement.sql,
        parameters_json=orjson.dumps(run.statement.parameters, default=str),
        outcome="cancelled" if run.answer is None else "done",
        elapsed_ms=round(run.seconds * 1000, 1),
    )
    if run.answer is not None:
        message.rows_read, message.bytes_read = run.answer.rows_read, run.answer.bytes_read
        message.rows_answered = len(run.answer.rows)
    return message
