"""Bad inputs through the whole product; a parameter's id begins with its line in the list of bad inputs."""

import asyncio
import io
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest

from obc_dev.api import Api
from tests.support.eventually import eventually
from tests.support.product import Product, Tenant, new_event

_PATH = "/v1/events:batch"
_HOUR = 3_600_000


@pytest.fixture
async def http(product: Product) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the gateway."""
    async with aiohttp.ClientSession(product.url) as session:
        yield session


async def post(http: aiohttp.ClientSession, tenant: Tenant, body: bytes) -> tuple[int, dict[str, Any]]:
    """Sends a body as a batch."""
    headers = {"Authorization": f"Bearer {tenant.write_key}", "Content-Type": "application/json"}
    async with http.post(_PATH, data=io.BytesIO(body), headers=headers) as answer:
        return answer.status, await answer.json()


def batch(event: bytes) -> bytes:
    """A batch of one event in the wire's own form."""
    return b'{"events":[%s]}' % event


def raw_event(**fields: Any) -> bytes:
    """An event as JSON."""
    return orjson.dumps(new_event(**fields))


def with_properties(text: bytes) -> bytes:
    """An event whose properties are this text."""
    return raw_event(properties={"@": 0}).replace(b'{"@":0}', text)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        pytest.param(b"{", 400, "BAD_JSON", id="1-brace"),
        pytest.param(b"", 400, "BAD_JSON", id="1-empty"),
        pytest.param(b"[]", 400, "NOT_OBJECT", id="1-list"),
        pytest.param(b"{}", 400, "BAD_JSON", id="2-missing"),
        pytest.param(b'{"events":{}}', 400, "BAD_JSON", id="2-object"),
        pytest.param(b'{"events":[]}', 400, "EMPTY_BATCH", id="2-none"),
        pytest.param(b'{"events":[%s]}' % b",".join([b"{}"] * 1001), 413, "TOO_MANY_EVENTS", id="2-1001"),
        pytest.param(b'{"events":["\\ud800"]}', 400, "BAD_JSON", id="12-surrogate"),
        pytest.param(b'{"events":["\xff"]}', 400, "BAD_ENCODING", id="13-utf8"),
        pytest.param('{"events":[]}'.encode("utf-16"), 400, "BAD_ENCODING", id="13-utf16"),
        pytest.param(b'\xef\xbb\xbf{"events":[]}', 400, "BAD_ENCODING", id="13-bom"),
        pytest.param(b'{"events":[NaN]}', 400, "BAD_JSON", id="14-nan"),
        pytest.param(b'{"events":[Infinity]}', 400, "BAD_JSON", id="14-infinity"),
        pytest.param(b'{"events":[1e400]}', 400, "BAD_JSON", id="14-1e400"),
        pytest.param(b'{"events":[%s]}' % (b"1e" + b"9" * 6), 400, "BAD_JSON", id="14-1e100000"),
        pytest.param(b'{"events":%s%s}' % (b"[" * 1025, b"]" * 1025), 400, "BAD_JSON", id="16-1025"),
        pytest.param(b"[" * 100_000, 400, "BAD_JSON", id="16-100000"),
        pytest.param(b'{"events":["%s"]}' % (b"x" * 4 * 1024 * 1024), 413, "BODY_TOO_LARGE", id="19-4mib"),
    ],
)
async def test_line_whole_batches(
    http: aiohttp.ClientSession, tenant: Tenant, body: bytes, status: int, reason: str
) -> None:
    found, answer = await post(http, tenant, body)

    assert (found, answer["error"]["reason"]) == (status, reason)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        pytest.param(b"17", "not_object", id="3"),
        pytest.param(raw_event(event_id=None), "bad_event_id", id="4-missing"),
        pytest.param(raw_event(event_id="x"), "bad_event_id", id="4-no-uuid"),
        pytest.param(raw_event(event_id=f"{{{uuid.uuid4()}}}"), "bad_event_id", id="4-braces"),
        pytest.param(raw_event(event_id=str(uuid.UUID(int=0))), "bad_event_id", id="4-nil"),
        pytest.param(raw_event(timestamp=int(time.time())), "bad_timestamp", id="9-seconds"),
        pytest.param(raw_event(timestamp=-1), "bad_timestamp", id="9-minus"),
        pytest.param(raw_event(timestamp=0), "bad_timestamp", id="9-zero"),
        pytest.param(raw_event(timestamp=10**18), "bad_timestamp", id="9-1e18"),
        pytest.param(raw_event(timestamp=int(time.time() * 1000) + 25 * _HOUR), "too_new", id="9-tomorrow"),
        pytest.param(raw_event(timestamp=946_684_799_999), "too_old", id="9-last-century"),
        pytest.param(raw_event(timestamp=9_223_372_036_854_775_807), "bad_timestamp", id="10-year-294277"),
        pytest.param(raw_event(timestamp="infinity"), "bad_timestamp", id="10-infinity"),
        pytest.param(raw_event(event_name="a\0b"), "nul_byte", id="11-name"),
        pytest.param(raw_event(event_id="a\0b"), "nul_byte", id="11-id"),
        pytest.param(raw_event(properties={"a\0b": 1}), "nul_byte", id="11-key"),
        pytest.param(raw_event(properties={"a": "b\0"}), "", id="11-value"),
        pytest.param(with_properties(b'{"n":9007199254740993}'), "int_range", id="15-2^53+1"),
        pytest.param(with_properties(b'{"n":18446744073709551616}'), "int_range", id="15-2^64"),
        pytest.param(with_properties(b'{"n":%s}' % (b"9" * 300)), "int_range", id="14-300-digits"),
        pytest.param(with_properties(b'{"a":' * 9 + b"1" + b"}" * 9), "too_deep", id="16-9"),
        pytest.param(raw_event(properties={str(n): n for n in range(257)}), "too_many_keys", id="17-257-keys"),
        pytest.param(raw_event(properties={"k" * 129: 1}), "key_too_long", id="17-long-key"),
        pytest.param(raw_event(properties={"s": "x" * 8193}), "too_long", id="19-string"),
        pytest.param(raw_event(properties={str(n): "x" * 8000 for n in range(5)}), "event_too_big", id="19-event"),
    ],
)
async def test_line_single_events(http: aiohttp.ClientSession, tenant: Tenant, event: bytes, code: str) -> None:
    # given a good event behind it
    good = raw_event()
    # when
    status, answer = await post(http, tenant, b'{"events":[%s,%s]}' % (event, good))
    # then only the bad one is rejected
    assert status == 200
    assert [result.get("code", "") for result in answer["results"]] == [code, ""]
    assert answer["results"][1]["result"] == "accepted"


async def test_line_4_capitals_are_the_same_id(http: aiohttp.ClientSession, tenant: Tenant) -> None:
    event = new_event()

    _, first = await post(http, tenant, batch(orjson.dumps({**event, "event_id": event["event_id"].upper()})))
    _, second = await post(http, tenant, batch(orjson.dumps(event)))

    assert (first["results"][0]["event_id"], second["results"][0]["result"]) == (event["event_id"], "duplicate")


async def test_line_17_strange_keys_are_stored_and_found(
    http: aiohttp.ClientSession, product: Product, tenant: Tenant
) -> None:
    keys = ["__proto__", "constructor", "$set", "a.b", "a'b", "🙂", "x') ; DROP TABLE events;--", "%", "_", "\\"]
    properties = {"": "empty", **{key: f"v{index}" for index, key in enumerate(keys)}}
    await post(http, tenant, batch(raw_event(properties=properties)))

    async with Api(product.url, tenant.secret_key) as api:
        for index, key in enumerate(keys):

            async def found(text: str = f"properties.{key}:eq:v{index}") -> bool:
                events = (await api.get("/v1/events", {"filter": text}))["events"]
                return [event["properties"] for event in events] == [properties]

            await eventually(found, timeout=10, interval=0.1, message=key)


@pytest.mark.parametrize(("method", "path"), [("POST", _PATH), ("GET", "/v1/events"), ("GET", "/v1/bad-rows")])
async def test_line_25_a_key_of_the_other_kind_is_403(
    http: aiohttp.ClientSession, product: Product, tenant: Tenant, method: str, path: str
) -> None:
    # given a write key for questions, or a secret key without `ingest` for events
    key = tenant.write_key
    if method == "POST":
        async with Api(product.url, product.operator_key) as api:
            made = await api.post(f"/v1/tenants/{tenant.tenant_id}/keys", {"kind": "secret", "scopes": ["query"]})
            key = made["secret"]
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = batch(raw_event()) if method == "POST" else None
    # then
    async with http.request(method, path, data=data, headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["reason"]) == (403, "SCOPE_MISSING")


@pytest.mark.parametrize("value", ["x') ; DROP TABLE events;--", "a'b", "%", "_", "\\", "%25", "${x}", "{{x}}"])
async def test_line_38_hostile_filters_are_literals(
    http: aiohttp.ClientSession, product: Product, tenant: Tenant, value: str
) -> None:
    # given an event with exactly this value, and one that a pattern would match too
    await post(http, tenant, batch(raw_event(properties={"p": value})))
    await post(http, tenant, batch(raw_event(properties={"p": "anything at all"})))
    async with Api(product.url, tenant.secret_key) as api:

        async def both() -> bool:
            return len((await api.get("/v1/events"))["events"]) == 2

        await eventually(both, timeout=10, interval=0.1)
        for operator in ("eq", "contains", "starts_with"):
            events = (await api.get("/v1/events", {"filter": f"properties.p:{operator}:{value}"}))["events"]
            assert [event["properties"]["p"] for event in events] == [value]
        for name in ("event_name", "user_id", "session_id"):
            assert (await api.get("/v1/events", {name: value}))["events"] == []


@pytest.mark.parametrize(
    ("path", "parameters", "field"),
    [
        pytest.param("events", {"filter": "properties.p:like:x"}, "filter[0]", id="39-operator"),
        pytest.param("events", {"filter": "password:eq:x"}, "filter[0]", id="39-field"),
        pytest.param("metrics", {"metrics": "users", "interval": "fortnight"}, "interval", id="39-interval"),
        pytest.param("metrics", {"metrics": "happiness"}, "metrics", id="39-metric"),
        pytest.param("events", {"order_by": "price"}, "order_by", id="39-order"),
        pytest.param("events", {"page_size": "-1"}, "page_size", id="39-limit-minus"),
        pytest.param("events", {"page_size": "10000000000"}, "page_size", id="39-limit-no-int32"),
        pytest.param("events", {"offset": "1000000000000"}, "offset", id="39-offset"),
        pytest.param("events", {"page_token": "AAAA"}, "page_token", id="39-token"),
        pytest.param("bad-rows", {"page_token": "AAAA"}, "page_token", id="39-token-of-bad-rows"),
        pytest.param("metrics", {"metrics": "users", "from": "20000", "to": "10000"}, "to", id="41-order"),
        pytest.param("dashboard", {"from": "200000000000", "to": "200000000000"}, "to", id="41-empty"),
        pytest.param("data-quality", {"from": "200000000000", "to": "100000000000"}, "to", id="41-quality"),
        pytest.param("metrics", {"metrics": "users", "timezone": "Foo/Bar"}, "timezone", id="41-zone"),
        pytest.param("metrics", {"metrics": "users", "timezone": "../../etc/passwd"}, "timezone", id="41-zone-path"),
        pytest.param(
            "metrics",
            {"metrics": "users", "interval": "hour", "from": "1980-01-01T00:00:00Z", "to": "2080-01-01T00:00:00Z"},
            "interval",
            id="41-buckets",
        ),
    ],
)  # fmt: skip
async def test_line_query_parameters(
    http: aiohttp.ClientSession, tenant: Tenant, path: str, parameters: dict[str, str], field: str
) -> None:
    headers = {"Authorization": f"Bearer {tenant.secret_key}"}
    async with http.get(f"/v1/{path}", params=parameters, headers=headers) as answer:
        error = (await answer.json())["error"]
        assert answer.status == 400, error
        assert [detail["field"] for detail in error["details"] if "field" in detail] == [field]


async def test_line_39_a_page_that_is_too_large_is_clamped(product: Product, tenant: Tenant) -> None:
    async with Api(product.url, tenant.secret_key) as api:
        for path, items in (("events", "events"), ("bad-rows", "bad_rows")):
            assert (await api.get(f"/v1/{path}", {"page_size": "1000000000"}))[items] == []


async def test_line_40_what_is_no_number_is_left_out_of_a_percentile(
    http: aiohttp.ClientSession, product: Product, tenant: Tenant
) -> None:
    # given a measurement that is a number thrice, and anything else four times
    for value in (10, 20, 30, "40", None, {"x": 1}, True):
        properties = {"metric_name": "load", "metric_value": value}
        event = raw_event(event_name="performance_metric", event_category="performance", properties=properties)
        await post(http, tenant, batch(event))
    async with Api(product.url, tenant.secret_key) as api:

        async def median() -> bool:
            answer = await api.get("/v1/metrics", {"metrics": "p50:load,events"})
            median, events = answer["series"]
            return bool((median.get("total"), events.get("total")) == (20, 7))

        await eventually(median, timeout=10, interval=0.1)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
async def test_line_41_a_day_of_the_clock_change_has_23_or_25_hours(
    product: Product, tenant: Tenant, day: str, hours: int
) -> None:
    offsets = {23: ("+01:00", "+02:00"), 25: ("+02:00", "+01:00"), 24: ("+02:00", "+02:00")}[hours]
    after = f"{day[:8]}{int(day[8:]) + 1:02}"
    parameters = {
        "metrics": "events",
        "interval": "hour",
        "timezone": "Europe/Berlin",
        "from": f"{day}T00:00:00{offsets[0]}",
        "to": f"{after}T00:00:00{offsets[1]}",
    }
    async with Api(product.url, tenant.secret_key) as api:
        [series] = (await api.get("/v1/metrics", parameters))["series"]

    assert len(series["points"]) == hours


async def test_line_44_another_tenants_things_are_not_there(product: Product, tenant: Tenant) -> None:
    other = await product.new_tenant()
    async with Api(product.url, product.operator_key) as operator:
        keys = (await operator.get(f"/v1/tenants/{other.tenant_id}/keys"))["keys"]
    headers = {"Authorization": f"Bearer {tenant.secret_key}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(product.url, headers=headers) as http:
        for path in (f"/v1/tenants/{other.tenant_id}", f"/v1/tenants/{other.tenant_id}/keys"):
            async with http.get(path) as answer:
                assert answer.status in (403, 404), await answer.text()
        # a replay of another tenant's row says that there is none
        async with Api(product.url, other.write_key) as api:
            await api.post(_PATH, {"events": [{"event_id": "x"}]})
        async with Api(product.url, other.secret_key) as api:
            [row] = (await api.get("/v1/bad-rows"))["bad_rows"]
        async with http.post("/v1/bad-rows:replay", data=orjson.dumps({"ids": [row["id"]]})) as answer:
            assert (await answer.json())["results"][0]["code"] == "not_found"
    assert keys


async def test_line_25_a_revoked_key_ends_within_seconds(product: Product, tenant: Tenant) -> None:
    async with Api(product.url, product.operator_key) as operator:
        made = await operator.post(f"/v1/tenants/{tenant.tenant_id}/keys", {"kind": "secret", "scopes": ["query"]})
        async with aiohttp.ClientSession(product.url, headers={"Authorization": f"Bearer {made['secret']}"}) as http:
            async with http.get("/v1/events") as answer:
                assert answer.status == 200
            await operator.delete(f"/v1/tenants/{tenant.tenant_id}/keys/{made['key']['key_id']}")

            async def refused() -> bool:
                await asyncio.sleep(0)
                async with http.get("/v1/events") as answer:
                    return answer.status == 401

            await eventually(refused, timeout=10, interval=0.1)
