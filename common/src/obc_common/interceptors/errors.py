"""Turns what a handler raises into a gRPC status."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc_status import rpc_status

from obc_common.errors import DomainError, Internal, to_status
from obc_common.interceptors.call import ServerCall
from obc_common.logs import get_logger

_log = get_logger(__name__)


@asynccontextmanager
async def errors_to_status(call: ServerCall, context: grpc.aio.ServicerContext) -> AsyncIterator[None]:  # type: ignore[type-arg]  # any message types
    """Ends the call with the status of a DomainError; anything unexpected is logged and becomes a generic Internal."""
    try:
        yield
    except grpc.aio.AbortError:
        raise  # an Exception by inheritance, but the call is ended already
    except DomainError as error:
        call.code = error.code
        if isinstance(error, Internal):
            _log.error("internal_error", reason=error.reason, message=error.message, exc_info=error.__cause__)
            error = Internal(error.reason, "internal error")
        await context.abort_with_status(rpc_status.to_status(to_status(error)))
    except Exception:
        call.code = grpc.StatusCode.INTERNAL
        _log.exception("unexpected_error", method=call.method)
        await context.abort_with_status(rpc_status.to_status(to_status(Internal("INTERNAL", "internal error"))))
    except BaseException:
        call.code = grpc.StatusCode.CANCELLED
        raise
