"""The key sets of issuers: rotated, away, hanging, wrong, too large."""

import asyncio
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa

from obc_common.jwks import is_allowed_jwks_url
from tests.support.jwt_issuer import (
    EC_KEY,
    OTHER_RSA_KEY,
    RSA_KEY,
    TokenBench,
    public_jwk,
)


class TestKeySets:
    async def test_a_rotated_key_is_found_by_one_fetch(self, bench: TokenBench) -> None:
        await bench.verifier.verify(bench.token())
        bench.server.keys = [public_jwk(OTHER_RSA_KEY, "rsa-2")]
        bench.clock.advance(61)
        await asyncio.gather(*(bench.verifier.verify(bench.token(OTHER_RSA_KEY, "rsa-2")) for _ in range(10)))
        assert bench.server.fetches == 2
        await bench.refused(bench.token())  # the old key is gone from the set

    async def test_the_last_good_set_is_kept_for_a_day_while_the_issuer_is_away(self, bench: TokenBench) -> None:
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

    async def test_a_known_key_never_waits_for_an_issuer_that_hangs(self, bench: TokenBench) -> None:
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
    async def test_a_key_that_may_not_verify_is_left_out(self, bench: TokenBench, entry: Any) -> None:
        bench.server.keys = [entry]
        await bench.refused(bench.token())
        assert bench.server.fetches == 1

    async def test_an_elliptic_key_of_another_curve_is_left_out(self, bench: TokenBench) -> None:
        bench.trust("ES256")
        bench.server.keys = [public_jwk(ec.generate_private_key(ec.SECP384R1()), "ec-1")]
        await bench.refused(bench.token(EC_KEY, "ec-1", "ES256"))

    @pytest.mark.parametrize(
        "body",
        [b"", b"[]", b"{}", b'{"keys": {}}', b"not json"],
        ids=["empty", "list", "no keys", "keys no list", "text"],
    )
    async def test_what_is_no_key_set_is_refused(self, bench: TokenBench, body: bytes) -> None:
        bench.server.body = body
        await bench.refused(bench.token())

    async def test_a_key_set_that_is_too_large_is_refused(self, bench: TokenBench) -> None:
        good = json.dumps({"keys": bench.server.keys}).encode()
        many = json.dumps({"keys": [public_jwk(RSA_KEY, f"rsa-{number}") for number in range(101)]}).encode()
        for body in (good + b" " * (256 * 1024), many):
            bench.server.body = body
            await bench.refused(bench.token())
            bench.clock.advance(61)
        bench.server.body = good + b" " * (128 * 1024)
        await bench.verifier.verify(bench.token())

    async def test_an_edwards_key_of_another_curve_is_left_out(self, bench: TokenBench) -> None:
        bench.trust("EdDSA")
        key = ed448.Ed448PrivateKey.generate()
        bench.server.keys = [{**jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "ed-1"}]
        await bench.refused(jwt.encode(bench.claims(), key, algorithm="EdDSA", headers={"kid": "ed-1"}))

    async def test_a_redirect_is_not_followed(self, bench: TokenBench) -> None:
        bench.server.status = 302
        await bench.refused(bench.token())
        assert (bench.server.fetches, bench.server.redirected) == (1, 0)

    async def test_an_address_that_is_not_allowed_is_never_asked(self, bench: TokenBench) -> None:
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
