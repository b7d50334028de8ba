"""Requests about devices, checked. Every mistake names its field."""

from obc_common.errors import InvalidArgument
from obc_query.identity.store import Verdict

_MAX_ID = 200
_VERDICTS: tuple[Verdict, ...] = ("unlink", "link")


def read_device(anonymous_id: str) -> str:
    """The id of a device as events have it. Raises InvalidArgument(BAD_ID)."""
    # No event has a NUL: ingest replaces it.
    if not 0 < len(anonymous_id) <= _MAX_ID or "\0" in anonymous_id:
        raise InvalidArgument("BAD_ID", f"an id has 1 to {_MAX_ID} characters, and no NUL", field="anonymous_id")
    return anonymous_id


def read_verdict(decision: str) -> Verdict:
    """What is decided. There is no default. Raises InvalidArgument(UNKNOWN_CHOICE)."""
    for verdict in _VERDICTS:
        if decision == verdict:
            return verdict
    raise InvalidArgument("UNKNOWN_CHOICE", f"one of {', '.join(_VERDICTS)}", field="decision")
