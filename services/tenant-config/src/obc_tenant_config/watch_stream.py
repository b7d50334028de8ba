"""The messages of one WatchConfigs call: everything, then what changes, and a heartbeat when nothing does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from obc.tenant_config.v1 import tenant_config_service_pb2 as pb
from obc_common.clock import Clock
from obc_tenant_config import codec
from obc_tenant_config.config_state import ConfigState
from obc_tenant_config.watchers import EVERYTHING, ISSUERS, OPERATOR_KEYS, Topic, Watchers

HEARTBEAT_SECONDS: Final = 2.0


async def watch_messages(
    state: ConfigState, watchers: Watchers, clock: Clock
) -> AsyncIterator[pb.WatchConfigsResponse]:
    """Messages until the watchers are let go. Raises Unavailable(CONFIG_NOT_READ) before the first read."""
    state.require_read()
    with watchers.open() as watcher:
        told = 0
        while not watcher.ended:
            topics = await watcher.next(HEARTBEAT_SECONDS)
            # Until the last of them is told, the follower is only as far as it was before.
            revision = state.revision
            for topic in topics:
                message = _message(topic, state, clock)
                if message is not None:
                    message.revision = revision if topic == topics[-1] else told
                    yield message
            told = revision
            if not topics and not watcher.ended:
                yield pb.WatchConfigsResponse(heartbeat=pb.WatchHeartbeat(), revision=told)


def _message(topic: Topic, state: ConfigState, clock: Clock) -> pb.WatchConfigsResponse | None:
    now = clock.now_ms()
    if topic == EVERYTHING:
        return pb.WatchConfigsResponse(
            snapshot=pb.ConfigSnapshot(
                tenants=[codec.tenant_state_message(view, now) for view in state.tenants.values()],
                issuers=codec.issuers_message(state.stored_issuers),
                operator_keys=codec.operator_keys_message(state.operator_keys, now),
            )
        )
    if topic == ISSUERS:
        return pb.WatchConfigsResponse(issuers=codec.issuers_message(state.stored_issuers))
    if topic == OPERATOR_KEYS:
        return pb.WatchConfigsResponse(operator_keys=codec.operator_keys_message(state.operator_keys, now))
    view = state.tenants.get(topic)
    return None if view is None else pb.WatchConfigsResponse(tenant=codec.tenant_state_message(view, now))
