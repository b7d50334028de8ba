"""What each message changes in the directory's copy, who is told, and how uses of keys are gathered."""

import asyncio
from collections.abc import Mapping

from obc_common.clock import ManualClock
from obc_common.directory_state import DirectoryState
from obc_common.errors import Unavailable
from obc_common.key_use import KeyUseLog
from obc_common.subscriptions import Subscriptions
from obc_common.tenant_state import JwtIssuer, KeyRecord, TenantRules, TenantState


def tenant(tenant_id: str, *keys: KeyRecord, version: int = 1) -> TenantState:
    rules = TenantRules(tenant_id, version, True, "standard", 365, True, True, ("*",), (), 1.0, "obey")
    return TenantState(rules, keys)


def key(name: str, tenant_id: str = "a", expires_at_ms: int = 0) -> KeyRecord:
    return KeyRecord(name, name.encode().ljust(32), tenant_id, "write", frozenset({"ingest"}), (), expires_at_ms)


def sha(name: str) -> bytes:
    return name.encode().ljust(32)


class TestState:
    def test_a_snapshot_replaces_everything(self) -> None:
        state = DirectoryState()
        issuer = JwtIssuer("i", "aud", "https://i.example", "ES256")
        assert state.apply_snapshot([tenant("a", key("k1")), tenant("b")], [key("op", "")], {"i": issuer}) == {
            "a",
            "b",
            "",
        }
        assert state.apply_snapshot([tenant("b")], [], {}) == {"a", ""}
        assert state.rules("a") is None
        assert state.key(sha("k1")) is None
        assert state.key_by_id("op") is None
        assert state.issuers == {}

    def test_the_same_snapshot_again_changes_nothing(self) -> None:
        state = DirectoryState()
        state.apply_snapshot([tenant("a", key("k1"))], [], {})
        assert state.apply_snapshot([tenant("a", key("k1"))], [], {}) == set()

    def test_a_key_that_is_no_longer_listed_is_gone(self) -> None:
        state = DirectoryState()
        state.apply_tenant(tenant("a", key("k1"), key("k2")))
        assert state.apply_tenant(tenant("a", key("k2"))) == {"a"}
        assert state.key(sha("k1")) is None
        assert state.key(sha("k2")) is not None

    def test_a_key_that_is_gone_has_ended_and_one_that_was_never_there_has_not(self) -> None:
        state = DirectoryState()
        state.apply_tenant(tenant("a", key("k1")))
        state.apply_tenant(tenant("a"))
        assert state.has_ended("k1")
        assert not state.has_ended("k2")

    def test_a_key_that_only_changed_has_not_ended(self) -> None:
        state = DirectoryState()
        state.apply_tenant(tenant("a", key("k1")))
        state.apply_tenant(tenant("a", key("k1", expires_at_ms=5)))
        assert not state.has_ended("k1")

    def test_a_key_with_a_new_end_is_replaced(self) -> None:
        state = DirectoryState()
        state.apply_tenant(tenant("a", key("k1")))
        assert state.apply_tenant(tenant("a", key("k1", expires_at_ms=5))) == {"a"}
        found = state.key_by_id("k1")
        assert found is not None
        assert found.expires_at_ms == 5

    def test_it_knows_whether_a_tenant_was_spoken_of(self) -> None:
        state = DirectoryState()
        state.apply_tenant(tenant("a"))
        before = state.sequence
        state.apply_tenant(tenant("b"))
        assert not state.changed_since("a", before)
        assert state.changed_since("b", before)
        state.apply_tenant(tenant("a"))  # the same content, but newer than what was asked before
        assert state.changed_since("a", before)


class TestSubscriptions:
    async def test_signals_that_nobody_waited_for_become_one(self) -> None:
        subscriptions = Subscriptions()
        with subscriptions.add("a") as subscription:
            for _ in range(1000):
                subscriptions.notify(["a", "b"])
            async with asyncio.timeout(1):
                await anext(subscription)
            waiting = asyncio.ensure_future(anext(subscription))
            await asyncio.sleep(0)
            assert not waiting.done()
            subscriptions.notify(["a"])
            async with asyncio.timeout(1):
                await waiting

    async def test_a_closed_subscription_ends(self) -> None:
        subscriptions = Subscriptions()
        subscription = subscriptions.add("a")
        seen = 0

        async def follow() -> None:
            nonlocal seen
            async for _ in subscription:
                seen += 1

        follower = asyncio.ensure_future(follow())
        await asyncio.sleep(0)
        subscription.close()
        subscription.close()
        async with asyncio.timeout(1):
            await follower
        subscriptions.notify(["a"])
        assert seen == 0


class TestKeyUse:
    async def test_only_the_last_use_of_a_key_is_reported(self) -> None:
        clock, reports = ManualClock(1000), []

        async def report(uses: Mapping[str, int]) -> None:
            reports.append(dict(uses))

        log = KeyUseLog(report, clock)
        log.note("k1")
        clock.advance(1)
        log.note("k1")
        log.note("k2")
        await log.flush()
        await log.flush()
        assert reports == [{"k1": 2000, "k2": 2000}]

    async def test_what_could_not_be_reported_is_kept_and_newer_uses_win(self) -> None:
        clock, reports, away = ManualClock(1000), [], True
        log: KeyUseLog

        async def report(uses: Mapping[str, int]) -> None:
            if away:
                clock.advance(5)
                log.note("k1")
                raise Unavailable("TENANT_CONFIG_UNAVAILABLE", "away")
            reports.append(dict(uses))

        log = KeyUseLog(report, clock)
        log.note("k1")
        log.note("k2")
        await log.flush()
        away = False
        await log.flush()
        assert reports == [{"k1": 6000, "k2": 1000}]

    async def test_a_long_list_is_reported_in_parts(self) -> None:
        sizes = []

        async def report(uses: Mapping[str, int]) -> None:
            sizes.append(len(uses))

        log = KeyUseLog(report, ManualClock())
        for number in range(2500):
            log.note(f"k{number}")
        await log.flush()
        assert sizes == [1000, 1000, 500]
