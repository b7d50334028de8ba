"""JSON Web Tokens: good ones, and every line of the list of bad ones."""

import asyncio
import base64
import hashlib
import hmac
import json
import uuid
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from obc_common.tenant_state import JwtAlgorithm
from tests.support.jwt_issuer import (
    EC_KEY,
    ED_KEY,
    ISSUER,
    OTHER_RSA_KEY,
    RSA_KEY,
    TENANT,
    PrivateKey,
    TokenBench,
    public_jwk,
)


class TestGoodTokens:
    @pytest.mark.parametrize(
        ("algorithm", "key", "kid"), [("RS256", RSA_KEY, "rsa-1"), ("ES256", EC_KEY, "ec-1"), ("EdDSA", ED_KEY, "ed-1")]
    )
    async def test_a_token_of_a_trusted_issuer_is_believed(
        self, bench: TokenBench, algorithm: JwtAlgorithm, key: PrivateKey, kid: str
    ) -> None:
        bench.trust(algorithm)
        verified = await bench.verifier.verify(bench.token(key, kid, algorithm))
        assert (verified.subject, verified.tenant_id, verified.issuer) == ("alice", TENANT, ISSUER)
        assert verified.scopes == {"query", "config"}
        assert verified.expires_at_ms == (bench.clock.now_ms() // 1000 + 3600) * 1000

    async def test_scopes_may_be_a_list_and_claims_may_have_other_names(self, bench: TokenBench) -> None:
        bench.trust("RS256", tenant_claim="https://obc/tenant", scopes_claim="permissions")
        claims: dict[str, Any] = {"permissions": ["ingest", 7, "x"], "https://obc/tenant": TENANT.upper()}
        token = bench.token(tenant_id=None, **claims)
        verified = await bench.verifier.verify(token)
        assert (verified.tenant_id, verified.scopes) == (TENANT, frozenset({"ingest"}))

    async def test_an_issuer_of_one_tenant_need_not_name_it(self, bench: TokenBench) -> None:
        bench.trust("RS256", tenant_id=TENANT)
        assert (await bench.verifier.verify(bench.token(tenant_id=None))).tenant_id == TENANT
        await bench.refused(bench.token(tenant_id=str(uuid.uuid4())))

    async def test_clocks_may_differ_a_little(self, bench: TokenBench) -> None:
        now = bench.clock.now_ms() // 1000
        await bench.verifier.verify(bench.token(iat=now + 20))
        await bench.verifier.verify(bench.token(iat=now - 600, exp=now - 20))

    async def test_many_tokens_cost_one_fetch(self, bench: TokenBench) -> None:
        await asyncio.gather(*(bench.verifier.verify(bench.token(sub=f"user-{n}")) for n in range(20)))
        assert bench.server.fetches == 1


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def bad_tokens(bench: TokenBench) -> dict[str, str]:
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
    async def test_each_is_refused_with_one_and_the_same_answer(self, bench: TokenBench) -> None:
        await bench.verifier.verify(bench.token())
        answers = {name: await bench.refused(token) for name, token in bad_tokens(bench).items()}
        assert set(answers.values()) == {("BAD_CREDENTIAL", "the credential is missing or not valid")}

    async def test_all_of_them_together_cost_one_fetch_a_minute(self, bench: TokenBench) -> None:
        for token in bad_tokens(bench).values():
            await bench.refused(token)
        assert bench.server.fetches == 1
        await asyncio.gather(*(bench.refused(bench.token(kid=f"invented-{n}")) for n in range(50)))
        assert bench.server.fetches == 1
        bench.clock.advance(61)
        await asyncio.gather(*(bench.refused(bench.token(kid=f"invented-{n}")) for n in range(50)))
        assert bench.server.fetches == 2
