"""Whose events without a user are, device by device."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from tests.support.stored_events import Stored


def linked(events: Iterable[Stored], unlinked: Collection[str] = ()) -> list[Stored]:
    """The events, each with its owner: the user of the earliest event of its device that has one.

    Of two users at the same millisecond, the one whose id comes first by its bytes. An unlinked device has none.
    """
    told = list(events)
    owners: dict[str, tuple[int, bytes]] = {}
    for event in told:
        if event.anonymous and event.user and event.anonymous not in unlinked:
            seen = (event.at, event.user.encode())
            owners[event.anonymous] = min(owners.get(event.anonymous, seen), seen)
    return [
        replace(event, owner=owners[event.anonymous][1].decode() if event.anonymous in owners else None)
        for event in told
    ]


def unlinked_by(decisions: Iterable[tuple[str, str]]) -> set[str]:
    """The devices that are unlinked after decisions about them: of each device the last one counts."""
    last = dict(decisions)
    return {device for device, decision in last.items() if decision == "unlink"}
