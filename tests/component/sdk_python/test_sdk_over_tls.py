"""The Python SDK through TLS: a certificate it was told to trust, and one it was not."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from obc_analytics import AsyncAnalytics, FlushTimeout, Options, Unreachable
from tests.component.sdk_python.conftest import MakeKey
from tests.support.ingest import Ingest

QUICK = Options(batch_seconds=0.01, backoff_seconds=0.05, backoff_max_seconds=0.2, close_seconds=0.1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of 127.0.0.1 with its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def tls_before(port: int, certificate: Path, protocol: str) -> AsyncIterator[int]:
    """Something that ends TLS before a port, as an ingress does."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols([protocol])

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65536):
            sink.write(chunk)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        ways = [asyncio.create_task(copy(reader, up_writer)), asyncio.create_task(copy(up_reader, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        writer.transport.abort()
        up_writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def public_part(certificate: Path) -> bytes:
    text = certificate.read_text()
    return text[text.index("-----BEGIN CERTIFICATE") :].encode()


async def test_grpc_over_tls(ingest: Ingest, write_key: MakeKey, certificate: Path) -> None:
    tenant = await ingest.make_tenant()
    async with (
        tls_before(ingest.server.port, certificate, "h2") as port,
        AsyncAnalytics(
            await write_key(tenant),
            address=f"127.0.0.1:{port}",
            tls=True,
            root_certificates=public_part(certificate),
            options=QUICK,
        ) as analytics,
    ):
        await analytics.track("tick")
        await analytics.flush()
    assert len(await ingest.stored(tenant)) == 1


async def test_https(ingest: Ingest, gateway_port: int, write_key: MakeKey, certificate: Path) -> None:
    tenant = await ingest.make_tenant()
    async with (
        tls_before(gateway_port, certificate, "http/1.1") as port,
        AsyncAnalytics(
            await write_key(tenant),
            rest_url=f"https://127.0.0.1:{port}",
            root_certificates=public_part(certificate),
            options=QUICK,
        ) as analytics,
    ):
        await analytics.track("tick")
        await analytics.flush()
    assert len(await ingest.stored(tenant)) == 1


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
async def test_a_server_that_cannot_prove_who_it_is_gets_nothing(
    ingest: Ingest, gateway_port: int, write_key: MakeKey, certificate: Path, protocol: str
) -> None:
    tenant = await ingest.make_tenant()
    port = ingest.server.port if protocol == "h2" else gateway_port
    async with tls_before(port, certificate, protocol) as listening:
        address = f"127.0.0.1:{listening}"
        async with AsyncAnalytics(
            await write_key(tenant),
            address=address if protocol == "h2" else None,
            rest_url=None if protocol == "h2" else f"https://{address}",
            tls=True,
            options=QUICK,
        ) as analytics:
            await analytics.track("tick")
            with pytest.raises(FlushTimeout) as late:
                await analytics.flush(0.5)
            assert isinstance(late.value.problem, Unreachable)
    assert await ingest.stored(tenant) == []
