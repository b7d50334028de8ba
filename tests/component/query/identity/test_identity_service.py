"""Links through the running service: what is told of a device, what a decision changes, and who may decide."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from obc.query.v1 import activity_pb2, identity_pb2
from obc.query.v1 import identity_service_pb2 as pb
from obc_common.errors import DomainError, NotFound
from obc_query.identity.device import Device, find_device
from obc_query.warehouse import Warehouse
from tests.support.eventually import eventually
from tests.support.query_service import QueryService, principal, run_query_service
from tests.support.stored_events import Stored, insert_events

START = 1_760_000_000_000
HOUR = 3_600_000
EDGE = Stored(START + HOUR, user="ann", anonymous="d:1/2")
HISTORY = [Stored(START, anonymous="d:1/2"), Stored(START + 2 * HOUR, user="bob", anonymous="d:1/2"), EDGE,
           Stored(START, anonymous="nobody's")]  # fmt: skip


@pytest.fixture
async def service(warehouse: Warehouse, database: str, redis_url: str) -> AsyncIterator[QueryService]:
    async with run_query_service(warehouse, database, redis_url) as running:
        yield running


async def call(service: QueryService, tenant_id: str, method: str, *scopes: str, **fields: Any) -> Any:
    request = getattr(pb, f"{method}Request")(**fields)
    caller = principal(tenant_id, *(scopes or ("query", "config")))
    return await service.identity.call(method, request, principal=caller, timeout=20)


async def link(service: QueryService, tenant_id: str, device: str) -> identity_pb2.DeviceLink:
    found: identity_pb2.DeviceLink = (await call(service, tenant_id, "GetDeviceLink", anonymous_id=device)).link
    return found


async def decide(service: QueryService, tenant_id: str, device: str, decision: str) -> identity_pb2.DeviceLink:
    answer = await call(service, tenant_id, "CreateLinkDecision", anonymous_id=device, decision=decision)
    found: identity_pb2.DeviceLink = answer.link
    return found


async def store(service: QueryService, tenant_id: str) -> None:
    await insert_events(service.model.dsn, tenant_id, HISTORY)

    def readable() -> bool:
        rows = service.model.rows(f"SELECT count() FROM events WHERE tenant_id = '{tenant_id}'")
        return int(rows[0][0]) == len(HISTORY)

    await eventually(readable, timeout=10)


async def people(service: QueryService, tenant_id: str) -> activity_pb2.QueryStickinessResponse:
    request = activity_pb2.QueryStickinessRequest(from_time=str(START), to_time=str(START + 24 * HOUR))
    answer = await service.client.call("QueryStickiness", request, principal=principal(tenant_id), timeout=20)
    assert isinstance(answer, activity_pb2.QueryStickinessResponse)
    return answer


async def test_a_device_tells_its_user_and_the_event_that_says_so(service: QueryService, tenant_id: str) -> None:
    await store(service, tenant_id)
    assert await link(service, tenant_id, "d:1/2") == identity_pb2.DeviceLink(
        anonymous_id="d:1/2", person="ann", user_id="ann", event_id=str(EDGE.event_id), event_time_ms=EDGE.at
    )
    assert await link(service, tenant_id, "nobody's") == identity_pb2.DeviceLink(
        anonymous_id="nobody's", person="nobody's"
    )


async def test_an_answer_is_never_older_than_a_decision(service: QueryService, tenant_id: str) -> None:
    # given an answer that is kept: ann with her past, bob, and the device that is nobody's
    await store(service, tenant_id)
    assert [(await people(service, tenant_id)).users for _ in range(2)] == [3, 3]
    assert (await people(service, tenant_id)).info.cached
    # when the device is unlinked, its past is one more person
    unlinked = await decide(service, tenant_id, "d:1/2", "unlink")
    assert (unlinked.person, unlinked.unlinked, unlinked.user_id) == ("d:1/2", True, "ann")
    assert [(one.decision, one.decided_by) for one in unlinked.decisions] == [("unlink", "test")]
    first, again = await people(service, tenant_id), await people(service, tenant_id)
    assert (first.users, first.info.cached, again.users, again.info.cached) == (4, False, 4, True)
    # and when that is taken back, the first answer is good again
    linked = await decide(service, tenant_id, "d:1/2", "link")
    assert (linked.person, linked.unlinked, len(linked.decisions)) == ("ann", False, 2)
    back = await people(service, tenant_id)
    assert (back.users, back.info.cached) == (3, True)
    assert back.info.data_version != first.info.data_version


async def test_unlinked_devices_are_listed(service: QueryService, tenant_id: str) -> None:
    await store(service, tenant_id)
    for device in ("nobody's", "d:1/2"):
        await decide(service, tenant_id, device, "unlink")
    first = await call(service, tenant_id, "ListUnlinkedDevices", page_size=1)
    rest = await call(service, tenant_id, "ListUnlinkedDevices", page_size=1, page_token=first.next_page_token)
    assert [one.anonymous_id for one in (*first.devices, *rest.devices)] == ["d:1/2", "nobody's"]
    assert rest.next_page_token == ""


async def test_line_44_another_tenants_device_is_not_there(service: QueryService, tenant_id: str) -> None:
    await store(service, tenant_id)
    for method, fields in (("GetDeviceLink", {}), ("CreateLinkDecision", {"decision": "unlink"})):
        with pytest.raises(NotFound) as refused:
            await call(service, "0198c0de-0000-7000-8000-000000000001", method, anonymous_id="d:1/2", **fields)
        assert (refused.value.reason, refused.value.field) == ("DEVICE_NOT_FOUND", "anonymous_id")


BAD_REQUESTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("GetDeviceLink", {"anonymous_id": ""}, "BAD_ID", "anonymous_id"),
    ("GetDeviceLink", {"anonymous_id": "x" * 201}, "BAD_ID", "anonymous_id"),
    ("GetDeviceLink", {"anonymous_id": "a\0b"}, "BAD_ID", "anonymous_id"),
    ("GetDeviceLink", {"anonymous_id": "' OR 1=1 --"}, "DEVICE_NOT_FOUND", "anonymous_id"),
    ("CreateLinkDecision", {"anonymous_id": "\0", "decision": "unlink"}, "BAD_ID", "anonymous_id"),
    ("CreateLinkDecision", {"anonymous_id": "d"}, "UNKNOWN_CHOICE", "decision"),
    ("CreateLinkDecision", {"anonymous_id": "d", "decision": "Unlink"}, "UNKNOWN_CHOICE", "decision"),
    ("CreateLinkDecision", {"anonymous_id": "d", "decision": "unlink"}, "DEVICE_NOT_FOUND", "anonymous_id"),
    ("ListUnlinkedDevices", {"page_size": -1}, "BAD_PAGE_SIZE", "page_size"),
    ("ListUnlinkedDevices", {"page_token": "x"}, "BAD_PAGE_TOKEN", "page_token"),
]
RIGHTS: list[tuple[str, dict[str, Any], str]] = [
    ("GetDeviceLink", {"anonymous_id": "d:1/2"}, "config"),
    ("ListUnlinkedDevices", {}, "config"),
    ("CreateLinkDecision", {"anonymous_id": "d:1/2", "decision": "unlink"}, "query"),
]


async def test_bad_requests_name_the_field(service: QueryService, tenant_id: str) -> None:
    for method, fields, reason, field in BAD_REQUESTS:
        with pytest.raises(DomainError) as refused:
            await call(service, tenant_id, method, **fields)
        assert (refused.value.reason, refused.value.field) == (reason, field), fields


async def test_reading_needs_the_scope_query_and_deciding_config(service: QueryService, tenant_id: str) -> None:
    await store(service, tenant_id)
    for method, fields, wrong in RIGHTS:
        for scope in ("ingest", "export", wrong):
            with pytest.raises(DomainError) as refused:
                await call(service, tenant_id, method, scope, **fields)
            assert refused.value.reason == "SCOPE_MISSING"
        await call(service, tenant_id, method, "admin", **fields)


async def test_what_is_told_of_a_device_is_found_along_what_is_kept_beside(
    service: QueryService, tenant_id: str
) -> None:
    await service.model.store(
        tenant_id, (Stored(START + number, anonymous=f"d{number % 20}") for number in range(2_000))
    )
    async with service.model.asking(tenant_id) as asker:
        assert await find_device(asker, tenant_id, "d7") == Device(None)
        assert asker.rows_read <= 100
