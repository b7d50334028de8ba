import pytest

from obc_common.live import MAX_EVENTS_PER_MESSAGE, LiveEvent, LiveMessage, decode, encode, live_channel


def event(number: int) -> LiveEvent:
    return LiveEvent(
        f"id-{number}", "page_view", "navigation", "ünïcode 🚀", "/path", 1_700_000_000_000, 1_700_000_000_005
    )


def test_a_message_comes_back_as_it_was_sent() -> None:
    events = (event(1), event(2))

    assert decode(encode(events, skipped=7)) == LiveMessage(events, 7)


def test_a_message_holds_at_most_a_hundred_events_and_counts_the_rest() -> None:
    events = [event(number) for number in range(MAX_EVENTS_PER_MESSAGE + 30)]

    message = decode(encode(events, skipped=5))

    assert message.events == tuple(events[:MAX_EVENTS_PER_MESSAGE])
    assert message.skipped == 35


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"{}", b"null", b'{"v":2,"events":[],"skipped":0}', b'{"v":1,"events":[[1]],"skipped":0}'],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="live message"):
        decode(data)


def test_each_tenant_has_its_own_channel() -> None:
    assert live_channel("a") == "obc:live:a"
