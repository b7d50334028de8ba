"""What the browser SDK's documentation says it adds to its events, and what the tenant rules know as the SDK's own."""

import re
from pathlib import Path

import pytest

from obc_ingest.sdk_properties import OF_EVENT, is_sdks_own

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "sdk-browser.md"
_ROW = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \| `\w+`[^|]*\|[^|]*\| ([^|]+) \|$", re.MULTILINE)


def _documented() -> dict[str, set[str]]:
    """The table of events: the names of properties by event."""
    section = _DOCUMENT.read_text().partition("\n## Events\n")[2].partition("\n## ")[0]
    return {
        event: set(re.findall(r"`(\w+)`", properties)) - set(re.findall(r"`(\w+)`", events))
        for events, properties in _ROW.findall(section)
        for event in re.findall(r"`(\w+)`", events)
    }


def test_every_event_with_words_of_its_own_is_documented() -> None:
    assert set(OF_EVENT) <= set(_documented())


@pytest.mark.parametrize("event", sorted(_documented()))
def test_what_the_sdk_is_documented_to_add_is_kept(event: str) -> None:
    added = _documented()[event] - {"user_action"}  # "as user_action"
    assert {name for name in added if not is_sdks_own(event, name)} == set()


@pytest.mark.parametrize("event", sorted({"user_action", "page_view", "performance_metric", "error", "engagement"}))
def test_what_is_known_as_the_sdks_own_is_documented(event: str) -> None:
    assert OF_EVENT[event] <= _documented()[event]
