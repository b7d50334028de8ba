"""One error hierarchy for the whole suite.

Domain code raises a `DomainError`; the gRPC interceptor packs it as `google.rpc.Status` with exactly one `ErrorInfo`
(AIP-193), a client unpacks it again, and the gateway writes it as the one JSON error body. Tests assert `reason`,
never the message.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

_DOMAIN = "openbiocure-analytics"

# After grpc-gateway: FAILED_PRECONDITION is deliberately not 412, which speaks of request headers.
_HTTP_BY_CODE: Mapping[grpc.StatusCode, int] = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}

# HTTP says some things that gRPC codes cannot.
_HTTP_BY_REASON: Mapping[str, int] = {
    "TOO_MANY_EVENTS": 413,
    "BODY_TOO_LARGE": 413,
    "COST_OVER_BURST": 413,
    "UNSUPPORTED_ENCODING": 415,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "BODY_TIMEOUT": 408,
    "METHOD_NOT_ALLOWED": 405,
    "INSIGHT_IN_USE": 409,
    "INSIGHT_DELETED": 409,
}


class DomainError(Exception):
    """An expected failure with a machine-readable reason.

    Args:
        reason: UPPER_SNAKE, stable, asserted by tests and usable by clients.
        message: one sentence for people; may change.
        field: the offending field of the request, dotted (`events[3].event_id`), or empty.
        metadata: every variable of the message, for machines.
        retry_after: seconds after which the same call may succeed; None = retrying is pointless or undefined.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        field: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.field = field
        self.metadata: dict[str, str] = dict(metadata or {})
        self.retry_after = retry_after

    @property
    def http_status(self) -> int:
        """The HTTP status this error becomes at the gateway."""
        return _HTTP_BY_REASON.get(self.reason, _HTTP_BY_CODE[self.code])


class InvalidArgument(DomainError):
    """The request is wrong whatever the state of the system."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class OutOfRange(DomainError):
    """The request exceeds a limit."""

    code = grpc.StatusCode.OUT_OF_RANGE


class FailedPrecondition(DomainError):
    """The system is not in a state that allows this."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Unauthenticated(DomainError):
    """No credential, or none that is valid."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(DomainError):
    """The credential is valid and does not allow this."""

    code = grpc.StatusCode.PERMISSION_DENIED


class NotFound(DomainError):
    """There is no such thing, or it is another tenant's."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(DomainError):
    """There is such a thing already."""

    code = grpc.StatusCode.ALREADY_EXISTS


class Aborted(DomainError):
    """Somebody else changed it in between."""

    code = grpc.StatusCode.ABORTED


class ResourceExhausted(DomainError):
    """A rate limit, quota or memory cap is reached."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(DomainError):
    """Something needed is away; nothing was promised; retry."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(DomainError):
    """It took longer than allowed."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Unimplemented(DomainError):
    """There is no such operation."""

    code = grpc.StatusCode.UNIMPLEMENTED


class Cancelled(DomainError):
    """The caller went away."""

    code = grpc.StatusCode.CANCELLED


class Internal(DomainError):
    """A defect of ours. The message shown outside is always generic."""

    code = grpc.StatusCode.INTERNAL


_CLASS_BY_CODE: Mapping[grpc.StatusCode, type[DomainError]] = {
    cls.code: cls
    for cls in (
        InvalidArgument,
        OutOfRange,
        FailedPrecondition,
        Unauthenticated,
        PermissionDenied,
        NotFound,
        AlreadyExists,
        Aborted,
        ResourceExhausted,
        Unavailable,
        DeadlineExceeded,
        Unimplemented,
        Cancelled,
        Internal,
    )
}


def to_status(error: DomainError) -> status_pb2.Status:
    """Packs an error: one ErrorInfo always, BadRequest when a field is named, RetryInfo when a retry may help."""
    details = [_pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=_DOMAIN, metadata=error.metadata))]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.message, reason=error.reason
        )
        details.append(_pack(error_details_pb2.BadRequest(field_violations=[violation])))
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(_pack(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status_pb2.Status(code=error.code.value[0], message=error.message, details=details)


def from_status(status: status_pb2.Status) -> DomainError:
    """Unpacks what `to_status` packed; a status without ErrorInfo gets its code's name as reason."""
    reason, field, retry_after = code_pb2.Code.Name(status.code), "", None
    metadata: dict[str, str] = {}
    for detail in status.details:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad) and bad.field_violations:
            field = bad.field_violations[0].field
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    cls = next((cls for code, cls in _CLASS_BY_CODE.items() if code.value[0] == status.code), Internal)
    return cls(reason, status.message, field=field, metadata=metadata, retry_after=retry_after)


def from_rpc_error(error: grpc.aio.AioRpcError) -> DomainError:
    """The domain error behind a failed call; transport failures become Unavailable, DeadlineExceeded or Internal."""
    # The stub asks for a synchronous Call; of it, from_call uses three methods that AioRpcError has too.
    status = rpc_status.from_call(cast(grpc.Call, error))
    if status is not None:
        return from_status(status)
    code, text = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        return Unavailable("UNAVAILABLE", text, retry_after=1.0)
    if code is grpc.StatusCode.UNKNOWN and "DecodeError" in text:
        # grpcio says UNKNOWN for a message that is no protobuf; its text must not be echoed.
        return InvalidArgument("BAD_MESSAGE", "the message could not be decoded")
    return _CLASS_BY_CODE.get(code, Internal)(code.name, text)


def error_body(error: DomainError) -> dict[str, Any]:
    """The one JSON error body of the REST API (AIP-193 shape with the reason lifted up)."""
    details: list[dict[str, Any]] = []
    if error.field:
        details.append({"field": error.field, "description": error.message})
    if error.metadata:
        details.append({"metadata": error.metadata})
    if error.retry_after is not None:
        details.append({"retry_after_ms": max(1, round(error.retry_after * 1000))})
    return {
        "error": {
            "code": error.http_status,
            "status": error.code.name,
            "reason": error.reason,
            "message": error.message,
            "details": details,
        }
    }


def _pack(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
