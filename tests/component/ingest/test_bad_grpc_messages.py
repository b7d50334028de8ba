"""What a gRPC client may send instead of a message; each gets its status, and the service goes on."""

import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import orjson
import pytest

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.identity import IDENTITY_HEADER, IdentityMinter
from tests.support.ingest import Ingest, event, sender
from tests.support.tenant_config import SECRET

_METHOD = "/obc.ingest.v1.IngestService/IngestBatch"
_SERVICE = "obc.ingest.v1.IngestService"


def raw_call(
    channel: grpc.aio.Channel, tenant: str, *, compression: grpc.Compression | None = None
) -> Callable[[bytes], Awaitable[bytes]]:
    """IngestBatch with bytes in and out."""
    method: Any = channel.unary_unary(_METHOD)
    token = IdentityMinter(SECRET, "test").mint(sender(tenant), _SERVICE)

    async def call(message: bytes) -> bytes:
        answer: bytes = await method(message, timeout=20, metadata=[(IDENTITY_HEADER, token)], compression=compression)
        return answer

    return call


def batch(**fields: Any) -> bytes:
    """A JSON batch of one event."""
    return pb.IngestBatchRequest(json=orjson.dumps({"events": [event(**fields)]})).SerializeToString()


@pytest.mark.parametrize(
    ("compression", "size"),
    [(None, 5_000_000), (grpc.Compression.Gzip, 5_000_000), (grpc.Compression.Gzip, 200_000_000)],
)
async def test_line_37_messages_that_are_too_large_are_resource_exhausted(
    ingest: Ingest, compression: grpc.Compression | None, size: int
) -> None:
    tenant = await ingest.make_tenant()
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{ingest.server.port}", options=options) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await raw_call(channel, tenant, compression=compression)(b"\x1a\xff\xff\xff\x7f" + bytes(size))

        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        # and the service goes on
        answer = pb.IngestBatchResponse.FromString(await raw_call(channel, tenant)(batch()))
        assert answer.accepted == 1


@pytest.mark.parametrize(
    "message",
    [
        b"\xff\xff\xff",
        # a typed event whose name is no UTF-8
        b"\x12\x06\x0a\x04\x12\x02\xff\xfe",
        # a message in a message, 101 deep
        b"\x12\x7f" * 101,
        gzip.compress(b"x"),
    ],
)
async def test_line_37_bytes_that_are_no_message_are_an_invalid_argument(ingest: Ingest, message: bytes) -> None:
    tenant = await ingest.make_tenant()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{ingest.server.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await raw_call(channel, tenant)(message)

        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_line_37_unknown_fields_are_accepted(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{ingest.server.port}") as channel:
        # field 1000, of a version to come
        answer = await raw_call(channel, tenant)(batch() + b"\xc2\x3e\x03new")

    assert pb.IngestBatchResponse.FromString(answer).accepted == 1


async def test_line_37_a_call_without_credential_is_unauthenticated(ingest: Ingest) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{ingest.server.port}") as channel:
        method: Any = channel.unary_unary(_METHOD)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await method(batch(), timeout=10)

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
