"""Inputs that the fuzzer begins with: events as SDKs send them, the same ones packed, and one of every known trick."""

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import orjson
import zstandard

EVENTS = [
    {
        "event_id": "0190a000-0000-7000-8000-000000000001",
        "event_name": "page_view",
        "event_category": "navigation",
        "user_id": "u-17",
        "anonymous_id": "a-1",
        "session_id": "s-1",
        "properties": {"plan": "pro", "price": 12.5, "tags": ["a", {"b": None}], "a.b": True, "$set": {"x": 1}},
        "timestamp": 1_760_000_000_000,
        "page_url": "https://app.example.com/cart?step=2&email=jane%40example.com#top",
        "referrer": "https://www.example.org/",
        "user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15",
        "device_info": {"screen_width": 390, "viewport_height": 844.5, "language": "de-DE", "device_type": "mobile"},
        "correlation_id": "c-1",
        "consent": True,
    },
    {
        "event_id": "0190A000-0000-7000-8000-00000000000F",
        "event_name": "x",
        "timestamp": "2025-10-09T08:53:20.123+02:00",
    },
    {"event_id": "{}", "event_name": "", "timestamp": -1, "properties": [], "device_info": 1, "tenant_id": 5},
]
TRICKS = [
    b'{"events":[{"event_name":"\\u0000","properties":{"\\u0000":"\\ud83d\\ude00"}}]}',
    b'{"a":NaN}',
    b"[" * 1025,
    b'{"n":18446744073709551616,"m":9007199254740993,"e":1e400}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b'{"a":"\\ud800"}',
    b"{}\n\n[1]\r\n" + b"x" * 200,
]


def write_seeds(target: str, folder: Path) -> None:
    """Writes the target's seeds; what the fuzzer has found beside them stays."""
    texts = [*map(orjson.dumps, EVENTS), *TRICKS]
    batches = [orjson.dumps({"events": EVENTS, "sent_at": 1_760_000_000_500, "batch_id": "b"}), *texts]
    if target == "inflaters":
        packs: tuple[Callable[[bytes], bytes], ...] = (gzip.compress, zlib.compress, zstandard.compress, bytes)
        # The first byte chooses the coding.
        seeds = [bytes([index]) + pack(batches[0]) for index, pack in enumerate(packs)]
    elif target == "import_lines":
        seeds = [b"\n".join(texts), *texts]
    else:
        seeds = batches if target == "frame_decoder" else texts
    for index, seed in enumerate(seeds):
        (folder / f"seed-{index}").write_bytes(seed)
