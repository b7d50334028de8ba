"""The limits that a batch and its events are judged by."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """See the settings of the same names for each one's meaning; lengths in characters, sizes in bytes.

    `any_age`: no event is too old, as in an import.
    """

    events: int = 1000
    batch_bytes: int = 4 * 1024 * 1024
    event_bytes: int = 32 * 1024
    property_keys: int = 256
    property_key_length: int = 128
    property_depth: int = 8
    string_bytes: int = 8 * 1024
    age_ms: int = 30 * 86_400_000
    future_ms: int = 3_600_000
    min_skew_ms: int = 60_000
    any_age: bool = False
