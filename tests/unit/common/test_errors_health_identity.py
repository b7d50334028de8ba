"""Errors, health verdicts, identities, scopes and UUIDv7."""

import asyncio

import pytest

from obc_common.clock import ManualClock
from obc_common.context import Principal
from obc_common.errors import (
    DomainError,
    InvalidArgument,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    error_body,
    from_status,
    to_status,
)
from obc_common.health import HealthRegistry
from obc_common.identity import IdentityMinter, IdentityVerifier
from obc_common.ids import uuid7
from obc_common.tasks import background


@pytest.mark.parametrize("cls", DomainError.__subclasses__())
def test_every_error_survives_the_wire(cls: type[DomainError]) -> None:
    error = cls("SOME_REASON", "a message", field="events[3].event_id", metadata={"a": "b"}, retry_after=0.25)
    back = from_status(to_status(error))
    assert type(back) is cls
    assert (back.reason, back.message, back.field, back.metadata, back.retry_after) == (
        "SOME_REASON",
        "a message",
        "events[3].event_id",
        {"a": "b"},
        0.25,
    )


def test_the_error_body_has_code_status_reason_and_details() -> None:
    body = error_body(ResourceExhausted("RATE_LIMITED", "slow down", retry_after=2))
    assert body == {
        "error": {
            "code": 429,
            "status": "RESOURCE_EXHAUSTED",
            "reason": "RATE_LIMITED",
            "message": "slow down",
            "details": [{"retry_after_ms": 2000}],
        }
    }


def test_a_reason_can_ask_for_an_http_status_that_grpc_does_not_have() -> None:
    assert InvalidArgument("TOO_MANY_EVENTS", "").http_status == 413
    assert OutOfRange("COST_OVER_BURST", "").http_status == 413
    assert InvalidArgument("UNSUPPORTED_ENCODING", "").http_status == 415


async def test_a_hanging_check_is_not_well_and_a_stale_verdict_neither() -> None:
    clock = ManualClock()
    registry = HealthRegistry(clock)

    async def hang() -> None:
        await asyncio.Event().wait()

    async def fine() -> None:
        return

    registry.register("hangs", hang, timeout=0.01, critical=False)
    registry.register("fine", fine, interval=5, timeout=2)
    assert not registry.ready()
    await registry.check_now()
    assert registry.ready()
    assert not registry.components()["hangs"].ok
    clock.advance(60)
    assert not registry.ready()
    assert "60 s ago" in registry.components()["fine"].detail


async def test_a_crashed_background_task_is_started_again() -> None:
    runs = 0
    again = asyncio.Event()

    async def crash_once() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise RuntimeError("first time")
        again.set()

    async with background({"crash_once": crash_once}):
        await asyncio.wait_for(again.wait(), 5)
    assert runs == 2


def test_an_identity_says_who_until_it_ends() -> None:
    clock = ManualClock()
    principal = Principal("t", "key-1", "write", frozenset({"ingest"}), "key-1", ("https://a.example",), 17)
    token = IdentityMinter("s" * 32, "gateway", clock).mint(principal, "svc")
    verifier = IdentityVerifier("s" * 32, "svc", clock)
    assert verifier.verify(token) == principal
    clock.advance(61)
    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_line_53_ids_and_identities_survive_a_clock_that_steps_back() -> None:
    # given a minter and a verifier whose machine's clock is set back by an hour
    clock = ManualClock()
    principal = Principal("t", "key-1", "write", frozenset({"ingest"}))
    minter, verifier = IdentityMinter("s" * 32, "gateway", clock), IdentityVerifier("s" * 32, "svc", clock)
    assert verifier.verify(minter.mint(principal, "svc")) == principal
    clock.advance(-3600)
    # then new identities are believed, and new ids are still ids that nobody else has
    assert verifier.verify(minter.mint(principal, "svc")) == principal
    made = {uuid7(clock.now_ms()) for _ in range(1000)}
    assert len(made) == 1000
    assert {one.version for one in made} == {7}
    # and once the clock is right again, so is everything
    clock.advance(3600)
    assert verifier.verify(minter.mint(principal, "svc")) == principal


@pytest.mark.parametrize(("secret", "audience"), [("x" * 32, "svc"), ("s" * 32, "other")])
def test_an_identity_of_another_secret_or_audience_is_refused(secret: str, audience: str) -> None:
    token = IdentityMinter(secret, "gateway").mint(Principal("t", "k", "write", frozenset()), audience)
    with pytest.raises(Unauthenticated) as caught:
        IdentityVerifier("s" * 32, "svc").verify(token)
    assert caught.value.reason == "BAD_IDENTITY"


def test_admin_implies_tenant_scopes_but_never_internal() -> None:
    admin = Principal("t", "k", "secret", frozenset({"admin"}))
    admin.require_scope("query")
    with pytest.raises(PermissionDenied):
        admin.require_scope("internal")
    with pytest.raises(PermissionDenied):
        Principal("", "op", "operator", frozenset()).require_tenant()


def test_uuid7_sorts_by_time_and_has_version_and_variant() -> None:
    first, second = uuid7(1_700_000_000_000), uuid7(1_700_000_000_001)
    assert first < second
    assert first.version == 7
    assert first.variant == "specified in RFC 4122"
