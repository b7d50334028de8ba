"""JSON Web Tokens: real keys, a real key-set server, and every line of the list of bad tokens."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from obc_common.authentication import CredentialAuthenticator, credential_from
from obc_common.clock import ManualClock
from obc_common.errors import Unauthenticated
from obc_common.identity import IDENTITY_HEADER, IdentityMinter, IdentityVerifier, service_principal
from obc_common.jwks import is_allowed_jwks_url
from obc_common.jwt_verifier import JwtVerifier
from obc_common.keys import generate_key, key_sha256
from obc_common.tenant_state import JwtAlgorithm, JwtIssuer, KeyRecord

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


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


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


@dataclass
class Bench:
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


@pytest.fixture
async def bench(server: KeySetServer) -> AsyncIterator[Bench]:
    clock = ManualClock(int(time.time() * 1000))
    issuers: dict[str, JwtIssuer] = {}
    verifier = JwtVerifier(lambda: issuers, clock)
    made = Bench(verifier, clock, issuers, server)
    made.trust("RS256")
    yield made
    await verifier.close()


class TestGoodTokens:
    @pytest.mark.parametrize(
        ("algorithm", "key", "kid"), [("RS256", RSA_KEY, "rsa-1"), ("ES256", EC_KEY, "ec-1"), ("EdDSA", ED_KEY, "ed-1")]
    )
    async def test_a_token_of_a_trusted_issuer_is_believed(
        self, bench: Bench, algorithm: JwtAlgorithm, key: PrivateKey, kid: str
    ) -> None:
        bench.trust(algorithm)
        verified = await bench.verifier.verify(bench.token(key, kid, algorithm))
        assert (verified.subject, verified.tenant_id, verified.issuer) == ("alice", TENANT, ISSUER)
        assert verified.scopes == {"query", "config"}
        assert verified.expires_at_ms == (bench.clock.now_ms() // 1000 + 3600) * 1000

    async def test_scopes_may_be_a_list_and_claims_may_have_other_names(self, bench: Bench) -> None:
        bench.trust("RS256", tenant_claim="https://obc/tenant", scopes_claim="permissions")
        claims: dict[str, Any] = {"permissions": ["ingest", 7, "x"], "https://obc/tenant": TENANT.upper()}
        token = bench.token(tenant_id=None, **claims)
        verified = await bench.verifier.verify(token)
        assert (verified.tenant_id, verified.scopes) == (TENANT, frozenset({"ingest"}))

    async def test_an_issuer_of_one_tenant_need_not_name_it(self, bench: Bench) -> None:
        bench.trust("RS256", tenant_id=TENANT)
        assert (await bench.verifier.verify(bench.token(tenant_id=None))).tenant_id == TENANT
        await bench.refused(bench.token(tenant_id=str(uuid.uuid4())))

    async def test_clocks_may_differ_a_little(self, bench: Bench) -> None:
        now = bench.clock.now_ms() // 1000
        await bench.verifier.verify(bench.token(iat=now + 20))
        await bench.verifier.verify(bench.token(iat=now - 600, exp=now - 20))

    async def test_many_tokens_cost_one_fetch(self, bench: Bench) -> None:
        await asyncio.gather(*(bench.verifier.verify(bench.token(sub=f"user-{n}")) for n in range(20)))
        assert bench.server.fetches == 1


def bad_tokens(bench: Bench) -> dict[str, str]:
    """Line 27 of the list of bad inputs, and more of its kind."""
    now = bench.clock.now_ms() // 1000
    good = bench.token()
    head, body, signature = good.split(".")
    none_header = _segment({"alg": "none", "typ": "JWT", "kid": "rsa-1"})
    attacker = {"jwk": public_jwk(OTHER_RSA_KEY, "rsa-1"), "jku": "https://evil.example/jwks"}
    return {
        "alg none": f"{none_header}.{body}.",
        "alg none with a signature": f"{none_header}.{body}.{signature}",
        "HS256 with the public key as the secret": _hs256(bench.claims(), public_pem(RSA_KEY)),
        "wrong audience": bench.token(aud="somebody-else"),
        "no audience": bench.token(aud=None),
        "wrong issuer": bench.token(iss="https://other.example"),
        "no issuer": bench.token(iss=None),
        "expired": bench.token(iat=now - 7200, exp=now - 3600),
        "no expiry": bench.token(exp=None),
        "expires in ten years": bench.token(exp=now + 10 * 365 * 86400),
        "lives longer than a day": bench.token(exp=now + 86401),
        "expiry that is text": bench.token(exp=str(now + 60)),
        "issued in the future": bench.token(iat=now + 3600, exp=now + 7200),
        "no issue time": bench.token(iat=None),
        "not valid yet": bench.token(nbf=now + 3600),
        "no subject": bench.token(sub=None),
        "empty subject": bench.token(sub=""),
        "subject with a line break": bench.token(sub="a\nb"),
        "no tenant": bench.token(tenant_id=None),
        "tenant that is no id": bench.token(tenant_id="acme"),
        "unknown key id": bench.token(kid="rsa-2"),
        "key id that is a path": bench.token(kid="../../etc/passwd"),
        "no key id": bench.token(kid=None),
        "key id of another kind of key": bench.token(kid="ec-1"),
        "signed by a key it brings along": bench.token(OTHER_RSA_KEY, header=attacker),
        "certificate it brings along": bench.token(OTHER_RSA_KEY, header={"x5c": ["AAAA"], "x5u": "https://e.example"}),
        "critical extension": bench.token(header={"crit": ["exp"]}),
        "unknown critical extension": bench.token(header={"crit": ["b64"], "b64": False}),
        "ES256 under an RS256 issuer": bench.token(EC_KEY, "ec-1", "ES256"),
        "RS384 under an RS256 issuer": bench.token(algorithm="RS384"),
        "PS256 under an RS256 issuer": bench.token(algorithm="PS256"),
        "20 kB": bench.token(padding="x" * 20_000),
        "changed signature": f"{head}.{body}.{signature[:-4]}AAAA",
        "changed body": f"{head}.{_segment(bench.claims(sub='root'))}.{signature}",
        "two parts": f"{head}.{body}",
        "five parts": f"{good}.x.y",
        "no base64": "%%%.%%%.%%%",
        "deeply nested": f"{_encode(b'[' * 3000)}.{_encode(b'[' * 3000)}.AAAA",
        "header that is no object": f"{_encode(b'[]')}.{body}.{signature}",
        "empty": "",
    }


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _segment(value: object) -> str:
    return _encode(json.dumps(value).encode())


def _hs256(claims: dict[str, Any], secret: bytes) -> str:
    # By hand: the library refuses to make such a token.
    signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT', 'kid': 'rsa-1'})}.{_segment(claims)}"
    return f"{signed}.{_encode(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


class TestBadTokens:
    async def test_each_is_refused_with_one_and_the_same_answer(self, bench: Bench) -> None:
        await bench.verifier.verify(bench.token())
        answers = {name: await bench.refused(token) for name, token in bad_tokens(bench).items()}
        assert set(answers.values()) == {("BAD_CREDENTIAL", "the credential is missing or not valid")}

    async def test_all_of_them_together_cost_one_fetch_a_minute(self, bench: Bench) -> None:
        for token in bad_tokens(bench).values():
            await bench.refused(token)
        assert bench.server.fetches == 1
        await asyncio.gather(*(bench.refused(bench.token(kid=f"invented-{n}")) for n in range(50)))
        assert bench.server.fetches == 1
        bench.clock.advance(61)
        await asyncio.gather(*(bench.refused(bench.token(kid=f"invented-{n}")) for n in range(50)))
        assert bench.server.fetches == 2


class TestKeySets:
    async def test_a_rotated_key_is_found_by_one_fetch(self, bench: Bench) -> None:
        await bench.verifier.verify(bench.token())
        bench.server.keys = [public_jwk(OTHER_RSA_KEY, "rsa-2")]
        bench.clock.advance(61)
        await asyncio.gather(*(bench.verifier.verify(bench.token(OTHER_RSA_KEY, "rsa-2")) for _ in range(10)))
        assert bench.server.fetches == 2
        await bench.refused(bench.token())  # the old key is gone from the set

    async def test_the_last_good_set_is_kept_for_a_day_while_the_issuer_is_away(self, bench: Bench) -> None:
        await bench.verifier.verify(bench.token())
        bench.server.status = 503
        for _ in range(23):
            bench.clock.advance(3600)
            await bench.verifier.verify(bench.token())
        bench.clock.advance(3601)
        await bench.refused(bench.token())
        bench.server.status = 200
        bench.clock.advance(61)
        await bench.verifier.verify(bench.token())

    async def test_a_known_key_never_waits_for_an_issuer_that_hangs(self, bench: Bench) -> None:
        await bench.verifier.verify(bench.token())
        bench.server.hang = True
        bench.clock.advance(3600)
        async with asyncio.timeout(1):
            await bench.verifier.verify(bench.token())

    @pytest.mark.parametrize(
        "entry",
        [
            public_jwk(RSA_KEY, "rsa-1", use="enc"),
            public_jwk(RSA_KEY, "rsa-1", alg="RS512"),
            public_jwk(RSA_KEY, "rsa-1", key_ops=["encrypt"]),
            public_jwk(RSA_KEY, "rsa-1", kty="oct", k="AAAA"),
            {name: value for name, value in public_jwk(RSA_KEY, "rsa-1").items() if name != "kid"},
            public_jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024), "rsa-1"),  # too short
            {"kid": "rsa-1", "kty": "RSA", "n": "%%%", "e": "AQAB"},
            "rsa-1",
            None,
        ],
    )
    async def test_a_key_that_may_not_verify_is_left_out(self, bench: Bench, entry: Any) -> None:
        bench.server.keys = [entry]
        await bench.refused(bench.token())
        assert bench.server.fetches == 1

    async def test_an_elliptic_key_of_another_curve_is_left_out(self, bench: Bench) -> None:
        bench.trust("ES256")
        bench.server.keys = [public_jwk(ec.generate_private_key(ec.SECP384R1()), "ec-1")]
        await bench.refused(bench.token(EC_KEY, "ec-1", "ES256"))

    @pytest.mark.parametrize(
        "body",
        [b"", b"[]", b"{}", b'{"keys": {}}', b"not json"],
        ids=["empty", "list", "no keys", "keys no list", "text"],
    )
    async def test_what_is_no_key_set_is_refused(self, bench: Bench, body: bytes) -> None:
        bench.server.body = body
        await bench.refused(bench.token())

    async def test_a_key_set_that_is_too_large_is_refused(self, bench: Bench) -> None:
        good = json.dumps({"keys": bench.server.keys}).encode()
        many = json.dumps({"keys": [public_jwk(RSA_KEY, f"rsa-{number}") for number in range(101)]}).encode()
        for body in (good + b" " * (256 * 1024), many):
            bench.server.body = body
            await bench.refused(bench.token())
            bench.clock.advance(61)
        bench.server.body = good + b" " * (128 * 1024)
        await bench.verifier.verify(bench.token())

    async def test_an_edwards_key_of_another_curve_is_left_out(self, bench: Bench) -> None:
        bench.trust("EdDSA")
        key = ed448.Ed448PrivateKey.generate()
        bench.server.keys = [{**jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "ed-1"}]
        await bench.refused(jwt.encode(bench.claims(), key, algorithm="EdDSA", headers={"kid": "ed-1"}))

    async def test_a_redirect_is_not_followed(self, bench: Bench) -> None:
        bench.server.status = 302
        await bench.refused(bench.token())
        assert (bench.server.fetches, bench.server.redirected) == (1, 0)

    async def test_an_address_that_is_not_allowed_is_never_asked(self, bench: Bench) -> None:
        bench.trust("RS256", jwks_url="http://issuer.example/jwks")
        await bench.refused(bench.token())

    @pytest.mark.parametrize(
        ("url", "allowed"),
        [
            ("https://issuer.example/jwks", True),
            ("https://issuer.example:8443/jwks?x=1", True),
            ("http://127.0.0.1:8080/jwks", True),
            ("http://localhost/jwks", True),
            ("http://[::1]/jwks", True),
            ("http://issuer.example/jwks", False),
            ("http://127.0.0.1.evil.example/jwks", False),
            ("http://10.0.0.1/jwks", False),
            ("https://user:pass@issuer.example/", False),
            ("file:///etc/passwd", False),
            ("https://", False),
            ("https://issuer.example:99999/", False),
            ("https://[::1/", False),
            ("", False),
        ],
    )
    def test_key_sets_come_by_https_or_from_the_machine_itself(self, url: str, allowed: bool) -> None:
        assert is_allowed_jwks_url(url) is allowed


@dataclass
class SmallDirectory:
    """One key and one tenant."""

    record: KeyRecord
    used: list[str] = field(default_factory=list)

    async def key(self, sha256: bytes) -> KeyRecord | None:
        return self.record if sha256 == self.record.sha256 else None

    def has_tenant(self, tenant_id: str) -> bool:
        return tenant_id == TENANT

    def note_use(self, key_id: str) -> None:
        self.used.append(key_id)


class TestAuthenticator:
    SECRET = "i" * 32

    @pytest.fixture
    def key(self) -> str:
        return generate_key("secret")

    @pytest.fixture
    def directory(self, key: str) -> SmallDirectory:
        return SmallDirectory(KeyRecord("key-1", key_sha256(key), TENANT, "secret", frozenset({"query"})))

    @pytest.fixture
    def authenticator(self, directory: SmallDirectory, bench: Bench) -> CredentialAuthenticator:
        return CredentialAuthenticator(directory, bench.verifier, IdentityVerifier(self.SECRET, "obc.test"))

    async def test_a_key_may_come_in_either_header(
        self, authenticator: CredentialAuthenticator, directory: SmallDirectory, key: str
    ) -> None:
        for metadata in (
            {"authorization": f"Bearer {key}"},
            {"authorization": f"bearer {key}"},
            {"x-api-key": key},
            {"authorization": "Basic eDp5", "x-api-key": key},
        ):
            principal = await authenticator.authenticate(metadata)
            assert (principal.tenant_id, principal.kind, principal.key_id) == (TENANT, "secret", "key-1")
        assert directory.used == ["key-1"] * 4

    async def test_a_token_is_for_a_tenant_that_exists(
        self, authenticator: CredentialAuthenticator, bench: Bench
    ) -> None:
        principal = await authenticator.principal_of(bench.token())
        assert (principal.kind, principal.subject, principal.scopes) == ("jwt", "alice", frozenset({"query", "config"}))
        with pytest.raises(Unauthenticated):
            await authenticator.principal_of(bench.token(tenant_id=str(uuid.uuid4())))

    async def test_an_identity_comes_first_and_a_wrong_one_is_not_replaced_by_a_key(
        self, authenticator: CredentialAuthenticator, key: str
    ) -> None:
        suite = service_principal("gateway")
        token = IdentityMinter(self.SECRET, "gateway").mint(suite, "obc.test")
        assert await authenticator.authenticate({IDENTITY_HEADER: token, "x-api-key": key}) == suite
        with pytest.raises(Unauthenticated) as refused:
            await authenticator.authenticate({IDENTITY_HEADER: token + "x", "x-api-key": key})
        assert refused.value.reason == "BAD_IDENTITY"

    @pytest.mark.parametrize(
        "metadata",
        [
            {},
            {"authorization": ""},
            {"authorization": "Bearer "},
            {"authorization": "Basic abc"},
            {"x-api-key": ""},
            {"x-api-key": "nonsense"},
            {"x-api-key": generate_key("secret")},
            {"x-api-key": "k" * 100_000},
            {"authorization": b"bytes"},
        ],
    )
    async def test_anything_else_is_one_and_the_same_refusal(
        self, authenticator: CredentialAuthenticator, metadata: dict[str, str | bytes]
    ) -> None:
        with pytest.raises(Unauthenticated) as refused:
            await authenticator.authenticate(metadata)
        assert (refused.value.reason, refused.value.message) == (
            "BAD_CREDENTIAL",
            "the credential is missing or not valid",
        )

    def test_a_bearer_credential_goes_before_an_api_key(self) -> None:
        assert credential_from({"authorization": "Bearer a", "x-api-key": "b"}) == "a"
