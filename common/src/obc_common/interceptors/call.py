"""What the interceptors know of a call."""

import re
import uuid
from dataclasses import dataclass, field

import grpc

from obc_common.identity import CORRELATION_HEADER

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


@dataclass(slots=True)
class ServerCall:
    """One call being served.

    Attributes:
        method: full name, `/obc.ingest.v1.IngestService/IngestBatch`.
        streaming: true when either side streams.
        metadata: the client's, last value of a repeated key.
        code: what the call ends with; set by the error layer.
    """

    method: str
    streaming: bool
    metadata: dict[str, str | bytes]
    correlation_id: str
    code: grpc.StatusCode = field(default=grpc.StatusCode.OK)


def server_call(method: str, streaming: bool, context: grpc.aio.ServicerContext) -> ServerCall:  # type: ignore[type-arg]  # any message types
    """Reads a call's metadata; a missing or ill-formed correlation id is replaced by a new one."""
    metadata: dict[str, str | bytes] = dict(context.invocation_metadata() or ())
    given = metadata.get(CORRELATION_HEADER, "")
    well_formed = isinstance(given, str) and _CORRELATION_ID.fullmatch(given)
    return ServerCall(method, streaming, metadata, str(given) if well_formed else str(uuid.uuid4()))
