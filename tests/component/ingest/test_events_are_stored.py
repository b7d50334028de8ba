from datetime import UTC, datetime, timedelta

import orjson
import pytest

from obc.common.v1 import event_pb2
from obc.ingest.v1 import ingest_service_pb2 as pb
from tests.support.ingest import BROWSER, EDGE, Ingest, event, new_id, now_ms


async def test_an_accepted_event_is_stored_with_everything_it_says(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    sent_at = now_ms()
    raw = event(
        event_category="navigation",
        user_id="anna",
        anonymous_id="device",
        session_id="s-1",
        properties={"plan": "pro", "n": 1.5, "list": [1, None, True], "ünï": "🚀"},
        page_url="https://shop.example/a?utm=1",
        referrer="https://search.example/",
        user_agent=EDGE,
        device_info={"screen_width": 1920, "browser": "Chrome", "language": "de"},
        correlation_id="c-1",
    )

    answer = await ingest.send(tenant, [raw], info=BROWSER, batch_id="b-1", timestamp=sent_at)

    assert answer == {
        "batch_id": "b-1",
        "accepted": 1,
        "duplicate": 0,
        "dropped": 0,
        "rejected": 0,
        "results": [{"event_id": raw["event_id"], "result": "accepted"}],
    }
    [row] = await ingest.stored(tenant)
    assert str(row["event_id"]) == raw["event_id"]
    assert (row["event_name"], row["event_category"], row["user_id"]) == ("page_view", "navigation", "anna")
    assert (row["anonymous_id"], row["session_id"], row["correlation_id"]) == ("device", "s-1", "c-1")
    assert orjson.loads(row["properties"]) == raw["properties"]
    assert row["timestamp"] == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=raw["timestamp"])
    assert row["event_time"] == row["timestamp"]
    assert row["sent_at"] == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=sent_at)
    assert (row["skew_ms"], row["sample_rate"]) == (0, 1.0)
    assert (row["page_url"], row["referrer"]) == ("https://shop.example/a?utm=1", "https://search.example/")
    assert orjson.loads(row["device_info"]) == {
        "screen_width": 1920,
        "browser": "Edge",
        "browser_version": "126.0",
        "os": "Windows",
        "os_version": "10",
        "device_type": "desktop",
        "language": "de",
    }


async def test_address_and_user_agent_are_kept_as_keyed_hashes_only(ingest: Ingest) -> None:
    first, second = await ingest.make_tenant(), await ingest.make_tenant()
    for tenant in (first, first, second):
        await ingest.send(tenant, [event(user_agent=EDGE)], info=BROWSER)

    one, same, other = [*await ingest.stored(first), *await ingest.stored(second)]

    assert one["ip_hash"] == same["ip_hash"] != other["ip_hash"]
    assert one["user_agent"] == same["user_agent"] != other["user_agent"]
    assert len(one["ip_hash"]) == len(one["user_agent"]) == 32
    everything = await ingest.rows(
        "SELECT e::text AS text FROM analytics_events e UNION ALL SELECT b::text FROM bad_rows b"
    )
    assert not any("203.0.113.7" in row["text"] or "Mozilla" in row["text"] for row in everything)


async def test_typed_and_json_events_are_judged_and_stored_alike(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    at = now_ms()
    raw = event(timestamp=at, user_id="u", properties={"a": [1, {"b": "x"}]}, device_info={"os": "iOS"}, consent=True)
    typed = event_pb2.Event(
        event_id=new_id(),
        event_name="page_view",
        timestamp_ms=at,
        user_id="u",
        properties_json=b'{"a":[1,{"b":"x"}]}',
        device_info=event_pb2.DeviceInfo(os="iOS"),
        consent=True,
    )

    await ingest.send(tenant, [raw])
    response = await ingest.send_typed(tenant, [typed, event_pb2.Event(event_id="x"), typed])

    assert [(r.result, r.code) for r in response.results] == [
        (pb.EVENT_OUTCOME_ACCEPTED, ""),
        (pb.EVENT_OUTCOME_REJECTED, "bad_event_id"),
        (pb.EVENT_OUTCOME_DUPLICATE, ""),
    ]
    assert (response.accepted, response.duplicate, response.rejected, response.json) == (1, 1, 1, b"")
    one, two = await ingest.stored(tenant)
    for column in ("event_name", "user_id", "properties", "device_info", "timestamp", "event_category"):
        assert one[column] == two[column], column


async def test_a_client_clock_three_days_ahead_is_corrected(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    ahead = now_ms() + 3 * 86_400_000

    answer = await ingest.send(tenant, [event(timestamp=ahead - 2000)], sent_at=ahead)

    assert answer["accepted"] == 1
    [row] = await ingest.stored(tenant)
    assert row["skew_ms"] == pytest.approx(-3 * 86_400_000, abs=5000)
    assert row["event_time"] == row["timestamp"] + timedelta(milliseconds=row["skew_ms"])


async def test_events_of_the_last_month_find_their_partition(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    events = [event(timestamp=now_ms() - days * 86_400_000) for days in (0, 10, 20, 29)]

    answer = await ingest.send(tenant, events)

    assert answer["accepted"] == 4
    assert len(await ingest.stored(tenant)) == 4


async def test_a_dropped_partition_is_made_again(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    raw = event(timestamp=now_ms() - 28 * 86_400_000)
    await ingest.send(tenant, [event(timestamp=raw["timestamp"])])
    month = datetime.fromtimestamp(raw["timestamp"] / 1000, UTC)
    if month.month != datetime.now(UTC).month:
        await ingest.rows(f"DROP TABLE analytics_events_y{month:%Y}m{month:%m}")

    assert (await ingest.send(tenant, [raw]))["accepted"] == 1
