"""Whose events without a user are, device by device."""

from collections.abc import Iterable
from dataclasses import replace

from tests.support.stored_events import Stored


def linked(events: Iterable[Stored]) -> list[Stored]:
    """The events, each with its owner: the user of the earliest event of its device that has one.

    Of two users at the same millisecond, the one whose id comes first by its bytes.
    """
    told = list(events)
    owners: dict[str, tuple[int, bytes]] = {}
    for event in told:
        if event.anonymous and event.user:
            seen = (event.at, event.user.encode())
            owners[event.anonymous] = min(owners.get(event.anonymous, seen), seen)
    return [
        replace(event, owner=owners[event.anonymous][1].decode()) if event.anonymous in owners else event
        for event in told
    ]
