"""An issuer of JSON Web Tokens: real keys, a real key-set server that counts and can misbehave."""

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from obc_common.clock import ManualClock
from obc_common.errors import Unauthenticated
from obc_common.jwt_verifier import JwtVerifier
from obc_common.tenant_state import JwtAlgorithm, JwtIssuer

ISSUER = "https://issuer.example"
AUDIENCE = "obc"
TENANT = str(uuid.uuid4())
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def public_jwk(key: PrivateKey, kid: str, **extra: Any) -> dict[str, Any]:
    """The public half as an entry of a key set."""
    algorithm: Any = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }[next(cls for cls in PrivateKey.__args__ if isinstance(key, cls))]
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **extra}


@dataclass
class KeySetServer:
    """A key-set server that counts and can misbehave."""

    keys: list[Any]
    url: str = ""
    status: int = 200
    body: bytes | None = None
    hang: bool = False
    fetches: int = 0
    redirected: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, _request: web.Request) -> web.Response:
        self.fetches += 1
        if self.hang:
            await self.release.wait()
        if self.status == 302:
            raise web.HTTPFound("/elsewhere")
        body = self.body if self.body is not None else json.dumps({"keys": self.keys}).encode()
        return web.Response(status=self.status, body=body, content_type="application/json")

    async def elsewhere(self, _request: web.Request) -> web.Response:
        self.redirected += 1
        return web.json_response({"keys": self.keys})


@dataclass
class TokenBench:
    """A verifier, its clock and its issuers."""

    verifier: JwtVerifier
    clock: ManualClock
    issuers: dict[str, JwtIssuer]
    server: KeySetServer

    def trust(self, algorithm: JwtAlgorithm, **changes: Any) -> None:
        """Trusts the test's issuer under an algorithm."""
        values: dict[str, Any] = {"audience": AUDIENCE, "jwks_url": self.server.url, "tenant_id": "", **changes}
        self.issuers[ISSUER] = JwtIssuer(issuer=ISSUER, algorithm=algorithm, **values)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Good claims, changed; None takes one out."""
        now = self.clock.now_ms() // 1000
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "alice",
            "iat": now,
            "exp": now + 3600,
            "tenant_id": TENANT,
            "scope": "query config openid internal",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        key: PrivateKey = RSA_KEY,
        kid: str | None = "rsa-1",
        algorithm: str = "RS256",
        header: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """A token signed with a real key."""
        headers = {**({} if kid is None else {"kid": kid}), **(header or {})}
        return jwt.encode(self.claims(**changes), key, algorithm=algorithm, headers=headers)

    async def refused(self, token: str) -> tuple[str, str]:
        with pytest.raises(Unauthenticated) as refusal:
            await self.verifier.verify(token)
        return refusal.value.reason, refusal.value.message
