"""Which of the credentials that come along is believed."""

import uuid
from dataclasses import dataclass, field

import pytest

from obc_common.authentication import CredentialAuthenticator, credential_from
from obc_common.errors import Unauthenticated
from obc_common.identity import IDENTITY_HEADER, IdentityMinter, IdentityVerifier, service_principal
from obc_common.keys import generate_key, key_sha256
from obc_common.tenant_state import KeyRecord
from tests.support.jwt_issuer import TENANT, TokenBench


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
    def authenticator(self, directory: SmallDirectory, bench: TokenBench) -> CredentialAuthenticator:
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
        self, authenticator: CredentialAuthenticator, bench: TokenBench
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
