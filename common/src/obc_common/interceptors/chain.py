"""The server interceptor: wraps every handler in the layers of this package, outermost first.

observe (correlation id, log, metrics) -> errors -> admission -> authentication -> handler.
Health checks and reflection pass untouched: a busy server is still healthy.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from obc_common.errors import InvalidArgument
from obc_common.interceptors.admit import Admission
from obc_common.interceptors.authenticate import Authenticator, authenticate
from obc_common.interceptors.call import server_call
from obc_common.interceptors.errors import errors_to_status
from obc_common.interceptors.observe import observe

_EXEMPT = ("/grpc.health.v1.", "/grpc.reflection.")
_Context = Any  # grpc.aio.ServicerContext of any message types


class _Undecodable:
    """Stands for a message that is no protobuf, until the handler's layers can refuse it."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Applies the layers to handlers of all four shapes."""

    def __init__(self, authenticator: Authenticator, admission: Admission) -> None:
        self._authenticator = authenticator
        self._admission = admission

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        handler: Any = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_EXEMPT):
            return handler  # type: ignore[no-any-return]  # the stub has one handler type for four shapes
        decode = _safe(handler.request_deserializer)
        encode = handler.response_serializer
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._unary(method, handler.unary_unary), decode, encode)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(self._stream(method, handler.unary_stream), decode, encode)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(self._unary(method, handler.stream_unary), decode, encode)
        return grpc.stream_stream_rpc_method_handler(self._stream(method, handler.stream_stream), decode, encode)

    def _unary(self, method: str, inner: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def behaviour(request: Any, context: _Context) -> Any:
            async with self._layers(method, False, context):
                return await inner(_checked(request), context)

        return behaviour

    def _stream(self, method: str, inner: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
        if not inspect.isasyncgenfunction(inner):
            raise TypeError(f"{method}: a streaming handler must be an async generator")

        async def behaviour(request: Any, context: _Context) -> AsyncIterator[Any]:
            async with self._layers(method, True, context):
                async for response in inner(_checked(request), context):
                    yield response

        return behaviour

    @asynccontextmanager
    async def _layers(self, method: str, streaming: bool, context: _Context) -> AsyncIterator[None]:
        call = server_call(method, streaming, context)
        async with observe(call), errors_to_status(call, context), self._admission.admit(call):
            await authenticate(call, self._authenticator)
            yield


def _safe(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """grpcio answers UNKNOWN when a message cannot be decoded; the layers answer INVALID_ARGUMENT."""

    def decode(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return _Undecodable()

    return decode


def _checked(request: Any) -> Any:
    if isinstance(request, _Undecodable):
        raise InvalidArgument("BAD_MESSAGE", "the message could not be decoded")
    return _checked_messages(request) if hasattr(request, "__aiter__") else request


async def _checked_messages(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _checked(request)
