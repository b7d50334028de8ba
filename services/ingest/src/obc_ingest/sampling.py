"""Sampling by person, never by event: a kept person's story stays whole."""

from hashlib import blake2b

from obc_ingest.model import Event

_SPACE = 2**64


def sampling_position(tenant_id: str, identity: str) -> float:
    """Where a person stands in [0, 1): kept when below the tenant's rate.

    Stable for ever and on every replica, so that raising a rate keeps everybody who was kept before. Part of the stored
    data's meaning: changing it re-draws every sample.
    """
    digest = blake2b(f"{tenant_id}\0{identity}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _SPACE


def is_kept(event: Event, rate: float) -> bool:
    """Whether a rate keeps the event: by its user, else its device, else its session (else the event itself)."""
    if rate >= 1.0:
        return True
    identity = event.user_id or event.anonymous_id or event.session_id or event.event_id
    return sampling_position(event.tenant_id, identity) < rate
