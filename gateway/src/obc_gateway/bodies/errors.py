"""What can be wrong with a body."""

from obc_common.errors import InvalidArgument, OutOfRange


def too_large(limit: int) -> OutOfRange:
    """The body is over its limit (bytes, inflated)."""
    return OutOfRange("BODY_TOO_LARGE", f"The body is larger than {limit} bytes.", metadata={"limit_bytes": str(limit)})


def unreadable(why: str) -> InvalidArgument:
    """The compressed body is broken."""
    return InvalidArgument("BAD_ENCODING", f"The compressed body cannot be read: {why}.")
