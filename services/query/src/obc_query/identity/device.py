"""What a device's events say about it: whether there are any, and which user they make it belong to."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from obc_query.asker import Asker
from obc_query.identity.links import OWNER_OF_EVENTS
from obc_query.questions.expressions import EVENT_MS
from obc_query.statement import Binder, Events, Select, Statement


@dataclass(frozen=True, slots=True)
class Edge:
    """The event that makes a device its user's; its time in unix milliseconds."""

    user_id: str
    event_id: UUID
    at_ms: int


@dataclass(frozen=True, slots=True)
class Device:
    """A device that there are events of. `edge` is None where no event of it has a user."""

    edge: Edge | None


async def find_device(asker: Asker, tenant_id: str, anonymous_id: str) -> Device | None:
    """A device by its id; None = there is no event of it."""
    owner = await asker.fetch(owner_statement(tenant_id, anonymous_id))
    if not owner:
        return None
    if not owner[0][0]:
        return Device(None)
    [(user_id, event_id, at)] = await asker.fetch(edge_statement(tenant_id, anonymous_id))
    return Device(Edge(user_id, UUID(str(event_id)), int(at)))


def owner_statement(tenant_id: str, anonymous_id: str) -> Statement:
    """The user of a device's earliest event with a user; no row = no event of it. Read along the projection."""
    binder = Binder()
    events = Events(where=[f"anonymous_id = {binder.bind(anonymous_id, 'String')}"])
    select = Select([OWNER_OF_EVENTS], events, group_by=["tenant_id", "anonymous_id"])
    return Statement(tenant_id, "device_owner", select, binder)


def known_devices_statement(tenant_id: str, anonymous_ids: Sequence[str]) -> Statement:
    """Those of some devices that there are events of. Read along the projection."""
    binder = Binder()
    events = Events(where=[f"anonymous_id IN {binder.bind(list(anonymous_ids), 'Array(String)')}"])
    select = Select(["anonymous_id"], events, group_by=["tenant_id", "anonymous_id"])
    return Statement(tenant_id, "known_devices", select, binder)


def edge_statement(tenant_id: str, anonymous_id: str) -> Statement:
    """The event that says so, in the order of `owner_statement`."""
    binder = Binder()
    select = Select(
        ["user_id", "event_id", EVENT_MS],
        Events(where=[f"anonymous_id = {binder.bind(anonymous_id, 'String')}", "notEmpty(user_id)"]),
        order_by=["event_time", "user_id", "event_id"],
        limit=1,
    )
    return Statement(tenant_id, "device_edge", select, binder)
