"""Why a WebSocket ends (contract 2.3). 1007 and 1009 are said by aiohttp itself while it reads."""

from dataclasses import dataclass
from enum import IntEnum

from obc_common.errors import DomainError, PermissionDenied, ResourceExhausted, Unauthenticated


class Close(IntEnum):
    """Close codes."""

    NORMAL = 1000
    NOT_TEXT = 1003
    RESTART = 1012
    UNAUTHENTICATED = 4401
    REVOKED = 4403
    FLOODING = 4429


@dataclass(frozen=True, slots=True)
class Ending:
    """How a socket is to end.

    Attributes:
        code: what the client is told; None = it is gone already.
        reason: UPPER_SNAKE, in the close frame.
        wait_for_acks: batches that were received are answered first.
    """

    code: Close | None
    reason: str
    wait_for_acks: bool = True


CLIENT_GONE = Ending(None, "CLIENT_GONE")


def ending_for(error: DomainError) -> Ending:
    """The ending that tells a client why it may not go on; it should reconnect only for RESTART."""
    if error.reason == "KEY_REVOKED":  # ingest may notice it before this process does
        return Ending(Close.REVOKED, error.reason, wait_for_acks=False)
    if isinstance(error, Unauthenticated):
        return Ending(Close.UNAUTHENTICATED, error.reason, wait_for_acks=False)
    if isinstance(error, PermissionDenied):
        return Ending(Close.REVOKED, error.reason, wait_for_acks=False)
    if isinstance(error, ResourceExhausted):
        return Ending(Close.FLOODING, error.reason, wait_for_acks=False)
    return Ending(Close.RESTART, error.reason, wait_for_acks=False)
