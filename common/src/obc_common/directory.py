"""TenantDirectory: every tenant's rules and keys in memory, kept fresh by TenantConfig's stream.

The hot path asks this and never the network, with one exception: a key that the copy does not know is asked for once,
by one caller, and an unknown one is remembered as unknown for 30 s. When TenantConfig is away the last good copy
goes on being used.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping

import grpc

from obc.tenant_config.v1 import tenant_config_service_pb2 as pb
from obc_common.clients import TenantConfigClient
from obc_common.clock import Clock
from obc_common.directory_codec import issuers_from, key_from, tenant_from
from obc_common.directory_state import DirectoryState
from obc_common.errors import DomainError, NotFound, Unauthenticated, Unavailable
from obc_common.identity import service_principal
from obc_common.key_use import KeyUseLog
from obc_common.logs import get_logger
from obc_common.subscriptions import Subscription, Subscriptions
from obc_common.tenant_state import JwtIssuer, KeyRecord, TenantRules

__all__ = ["JwtIssuer", "KeyRecord", "Subscription", "TenantDirectory", "TenantRules"]

_log = get_logger(__name__)

_SILENCE_SECONDS = 10.0  # five heartbeats: a stream that is silent for longer is dead
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 2.0
_RESOLVE_TIMEOUT = 2.0
_CATCH_UP_SECONDS = 2.0  # a change reaches every process within this time while its stream is up
_REPORT_TIMEOUT = 5.0
_MOST_LOOKUPS = 64
_UNKNOWN_SECONDS = 30.0
_MOST_UNKNOWN = 10_000


class TenantDirectory:
    """The copy of one process.

    Args:
        client: TenantConfig.
        clock: time; decides which keys have expired.
        watcher: name of the process, for TenantConfig's logs.
    """

    def __init__(self, client: TenantConfigClient, clock: Clock, watcher: str = "directory") -> None:
        self._client = client
        self._clock = clock
        self._principal = service_principal(watcher)
        self._state = DirectoryState()
        self._subscriptions = Subscriptions()
        self._key_use = KeyUseLog(self._report_key_use, clock)
        self._ready = asyncio.Event()
        self._heard_at: float | None = None
        self._lookups: dict[bytes, asyncio.Task[KeyRecord | None]] = {}
        self._unknown: dict[bytes, float] = {}
        self._unseen: dict[str, float] = {}  # ids of keys that were asked about before they were heard of, and when

    async def run(self) -> None:
        """Follows TenantConfig and reports key uses until cancelled. To be owned by `tasks.background`."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow())
                group.create_task(self._key_use.run())
        finally:
            for lookup in self._lookups.values():
                lookup.cancel()

    async def wait_ready(self, timeout: float) -> None:
        """Waits for the first snapshot. Raises Unavailable(TENANT_CONFIG_UNAVAILABLE) after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._ready.wait()
        except TimeoutError:
            raise _unavailable() from None

    def is_ready(self) -> bool:
        """True once a snapshot has arrived; it stays true when the stream is lost later."""
        return self._ready.is_set()

    def age_seconds(self) -> float:
        """Seconds since TenantConfig was last heard of (it says something every 2 s); infinite before the first."""
        return float("inf") if self._heard_at is None else self._clock.monotonic() - self._heard_at

    def rules(self, tenant_id: str) -> TenantRules | None:
        """A tenant's rules now; None = no such tenant."""
        return self._state.rules(tenant_id)

    async def rules_of_caller(self, tenant_id: str) -> TenantRules:
        """The rules of a tenant whose credential was accepted, here or by another process.

        That process may have heard of a new tenant a moment earlier: a missing one is waited for.

        Raises:
            Unauthenticated: UNKNOWN_TENANT, it does not exist (any more).
            Unavailable: TENANT_CONFIG_UNAVAILABLE, nothing is known yet.
        """
        rules = self.rules(tenant_id)
        if rules is not None:
            return rules
        if not self.is_ready():
            raise _unavailable()
        with self.subscribe(tenant_id) as changes:
            try:
                async with asyncio.timeout(_CATCH_UP_SECONDS):
                    while (rules := self.rules(tenant_id)) is None:
                        await anext(changes)
            except TimeoutError:
                raise Unauthenticated("UNKNOWN_TENANT", "the credential's tenant does not exist") from None
        return rules

    def all_rules(self) -> list[TenantRules]:
        """The rules of every tenant now."""
        return self._state.all_rules()

    def has_tenant(self, tenant_id: str) -> bool:
        """True when the tenant exists."""
        return self._state.rules(tenant_id) is not None

    def issuers(self) -> Mapping[str, JwtIssuer]:
        """The trusted issuers of tokens, by `iss`."""
        return self._state.issuers

    async def key(self, sha256: bytes) -> KeyRecord | None:
        """The live key with a fingerprint; None = there is none.

        Raises:
            Unavailable: the key is not in the copy and TenantConfig does not answer: nobody can say.
        """
        record = self._state.key(sha256)
        if record is None:
            if self._is_known_to_be_unknown(sha256):
                return None
            record = await self._look_up(sha256)
        return record if record is not None and record.is_live(self._clock.now_ms()) else None

    def key_is_live(self, key_id: str) -> bool:
        """False when the key was revoked or has expired: an open connection that used it must end.

        A key that this copy never had counts as live for two seconds: whoever authenticated the caller heard of it a
        moment earlier.
        """
        record = self._state.key_by_id(key_id)
        if record is not None:
            self._unseen.pop(key_id, None)
            return record.is_live(self._clock.now_ms())
        if self._state.has_ended(key_id):
            return False
        now = self._clock.monotonic()
        while len(self._unseen) >= _MOST_UNKNOWN:
            del self._unseen[next(iter(self._unseen))]
        # While the stream is silent nobody can say; then what was believed goes on being believed.
        return now - self._unseen.setdefault(key_id, now) < _CATCH_UP_SECONDS or self.age_seconds() > _SILENCE_SECONDS

    def note_use(self, key_id: str) -> None:
        """Notes that a key was used, for its `last_used_at`."""
        self._key_use.note(key_id)

    async def flush_key_use(self) -> None:
        """Reports what was noted, now; to be called when the process ends."""
        await self._key_use.flush()

    def subscribe(self, tenant_id: str) -> Subscription:
        """Signals of every change of a tenant's rules or keys. Close it."""
        return self._subscriptions.add(tenant_id)

    async def _follow(self) -> None:
        delay = _FIRST_DELAY
        while True:
            heard_before = self._heard_at
            try:
                await self._follow_one_stream()
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                reason = error.code().name if isinstance(error, grpc.aio.AioRpcError) else "SILENT"
                _log.warning("config_stream_lost", reason=reason)
            if self._heard_at != heard_before:
                delay = _FIRST_DELAY
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, no secret
            delay = min(delay * 2, _LONGEST_DELAY)

    async def _follow_one_stream(self) -> None:
        call = self._client.watch(pb.WatchConfigsRequest(watcher=self._principal.subject), principal=self._principal)
        try:
            while True:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    message = await call.read()
                if not isinstance(message, pb.WatchConfigsResponse):
                    return  # the server ended the stream: it drains, or the connection has reached its age
                self._heard_at = self._clock.monotonic()
                self._apply(message)
        finally:
            call.cancel()

    def _apply(self, message: pb.WatchConfigsResponse) -> None:
        match message.WhichOneof("message"):
            case "snapshot":
                snapshot = message.snapshot
                changed = self._state.apply_snapshot(
                    [tenant_from(tenant) for tenant in snapshot.tenants],
                    [key_from(key, "") for key in snapshot.operator_keys.keys],
                    issuers_from(snapshot.issuers.issuers),
                )
                if not self._ready.is_set():
                    _log.info("config_snapshot_received", tenants=len(snapshot.tenants), revision=message.revision)
                self._ready.set()
            case "tenant":
                changed = self._state.apply_tenant(tenant_from(message.tenant))
            case "operator_keys":
                changed = self._state.apply_operator_keys([key_from(key, "") for key in message.operator_keys.keys])
            case "issuers":
                self._state.apply_issuers(issuers_from(message.issuers.issuers))
                return
            case _:  # a heartbeat, or a kind that a newer server has
                return
        self._subscriptions.notify(changed)

    def _is_known_to_be_unknown(self, sha256: bytes) -> bool:
        until = self._unknown.get(sha256)
        if until is None:
            return False
        if self._clock.monotonic() < until:
            return True
        del self._unknown[sha256]
        return False

    async def _look_up(self, sha256: bytes) -> KeyRecord | None:
        lookup = self._lookups.get(sha256)
        if lookup is None:
            if len(self._lookups) >= _MOST_LOOKUPS:
                # Somebody tries keys. Known keys are not held up, and nothing piles up.
                raise Unavailable("KEY_LOOKUP_BUSY", "too many unknown keys are being looked up", retry_after=1.0)
            lookup = asyncio.create_task(self._ask_for_key(sha256), name="key-lookup")
            self._lookups[sha256] = lookup
            lookup.add_done_callback(lambda done: self._lookup_done(sha256, done))
        # Shielded: one caller that goes away must not take the answer from the others.
        return await asyncio.shield(lookup)

    def _lookup_done(self, sha256: bytes, lookup: asyncio.Task[KeyRecord | None]) -> None:
        self._lookups.pop(sha256, None)
        if not lookup.cancelled():
            lookup.exception()  # marks it as seen, should every caller have gone away

    async def _ask_for_key(self, sha256: bytes) -> KeyRecord | None:
        sequence = self._state.sequence
        try:
            response = await self._client.resolve_key(
                pb.ResolveKeyRequest(sha256=sha256), principal=self._principal, timeout=_RESOLVE_TIMEOUT
            )
        except NotFound:
            self._remember_unknown(sha256)
            return None
        except DomainError as error:
            _log.warning("key_lookup_failed", reason=error.reason)
            raise _unavailable() from error
        tenant_id = response.tenant.tenant.tenant_id
        record = key_from(response.key, tenant_id)
        # An answer that was under way while the stream spoke of the same tenant may be the older of the two.
        if tenant_id and not self._state.changed_since(tenant_id, sequence):
            self._subscriptions.notify(self._state.apply_tenant(tenant_from(response.tenant)))
        return record

    def _remember_unknown(self, sha256: bytes) -> None:
        while len(self._unknown) >= _MOST_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[sha256] = self._clock.monotonic() + _UNKNOWN_SECONDS

    async def _report_key_use(self, uses: Mapping[str, int]) -> None:
        request = pb.ReportKeyUseRequest(
            uses=[pb.KeyUse(key_id=key_id, last_used_at_ms=at_ms) for key_id, at_ms in uses.items()]
        )
        await self._client.report_key_use(request, principal=self._principal, timeout=_REPORT_TIMEOUT)


def _unavailable() -> Unavailable:
    return Unavailable("TENANT_CONFIG_UNAVAILABLE", "tenant configuration is not available", retry_after=1.0)
