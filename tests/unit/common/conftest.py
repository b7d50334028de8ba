"""A token verifier and the issuer it trusts."""

import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from obc_common.clock import ManualClock
from obc_common.jwt_verifier import JwtVerifier
from obc_common.tenant_state import JwtIssuer
from tests.support.jwt_issuer import EC_KEY, ED_KEY, RSA_KEY, KeySetServer, TokenBench, public_jwk


@pytest.fixture
async def server() -> AsyncIterator[KeySetServer]:
    served = KeySetServer(
        [public_jwk(RSA_KEY, "rsa-1"), public_jwk(EC_KEY, "ec-1"), public_jwk(ED_KEY, "ed-1", use="sig", alg="EdDSA")]
    )
    app = web.Application()
    app.add_routes([web.get("/jwks", served.answer), web.get("/elsewhere", served.elsewhere)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield served
    served.release.set()
    await runner.cleanup()


@pytest.fixture
async def bench(server: KeySetServer) -> AsyncIterator[TokenBench]:
    clock = ManualClock(int(time.time() * 1000))
    issuers: dict[str, JwtIssuer] = {}
    verifier = JwtVerifier(lambda: issuers, clock)
    made = TokenBench(verifier, clock, issuers, server)
    made.trust("RS256")
    yield made
    await verifier.close()
