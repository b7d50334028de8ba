"""Links: a device's events without a user belong to the first user that was seen on it.

Nothing is rewritten. An event with a user and a device is an edge; the edges of each part of the table are kept
aggregated beside it (the projection `devices`), so they come, expire and are deleted with the events they are made of.
A statement about people joins them when it runs.

One owner for each device, whatever order events arrive in: the user of its earliest event that has one (of two at the
same millisecond, the one whose id is first by bytes). What follows without a user, a visit after signing out for
instance, is that user's too. A device that is unlinked by decision has no owner; its events without a user are its own.
"""

from collections.abc import Sequence
from dataclasses import replace

from obc_query.statement import Binder, Events, LinkedPeople, Select

_DEVICE, _OWNER = "linked_device", "linked_owner"

# In the words of the projection `devices`: the engine takes it only where they are the same.
OWNER_OF_EVENTS = "argMinIf(user_id, (event_time, user_id), notEmpty(user_id))"
"""Whose a device is by its events; empty = no event of it has a user."""
_EDGES = Select(
    columns=[
        f"anonymous_id AS {_DEVICE}",
        f"{OWNER_OF_EVENTS} AS {_OWNER}",
        "max(empty(user_id)) AS has_past",
    ],
    source=Events(),
    group_by=["tenant_id", "anonymous_id"],
)
_ARE_LINKED = (f"notEmpty({_DEVICE})", f"notEmpty({_OWNER})", "has_past")
_LINKS = Select(columns=[_DEVICE, _OWNER], source=_EDGES, where=_ARE_LINKED)
_PERSON = (
    f"multiIf(notEmpty(user_id), user_id, notEmpty({_OWNER}), {_OWNER}, "
    "notEmpty(anonymous_id), anonymous_id, session_id)"
)


def linked_people(unlinked: Sequence[str]) -> LinkedPeople:
    """People where devices are linked to users.

    Args:
        unlinked: devices that are not, whatever their events say.
    """
    links, binder = _LINKS, Binder("unlinked")
    if unlinked:
        # Bound as one value: looked up in a set, however many there are.
        devices = binder.bind(list(unlinked), "Array(String)")
        links = replace(_LINKS, where=[*_ARE_LINKED, f"{_DEVICE} NOT IN {devices}"])
    join = f"ANY LEFT JOIN ({links.render()}) AS links ON if(empty(user_id), anonymous_id, '') = links.{_DEVICE}"
    return LinkedPeople(_PERSON, join, binder.values)


ANY_LINK = Select(columns=["1"], source=_LINKS, limit=1)
"""A row when there is a link. It goes through all devices of the tenant."""

USERS_OF_DEVICES = Select(
    columns=["minIf(user_id, anonymous_id > '')", "maxIf(user_id, anonymous_id > '')"],
    source=Events(),
    group_by=["tenant_id"],
)
"""The first and the last user id of events with a device. There are links only where the first is none and the last is
not. From the projection `users_of_devices`, a row for each part; `empty()` here would make the engine overlook it."""
