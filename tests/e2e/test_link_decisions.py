"""What identify joins is taken apart and joined again by decision, through the public API."""

import time
from typing import Any
from urllib.parse import quote

from obc_dev.api import Api, ApiError
from tests.support.eventually import eventually
from tests.support.product import Product, RestWay, Tenant, new_event

DEVICE = "device: 1/2 ä"


async def test_identify_makes_one_person_unlinking_two_and_linking_one_again(product: Product, tenant: Tenant) -> None:
    async with RestWay(product, tenant) as way:
        seen = new_event(anonymous_id=DEVICE, timestamp=int(time.time() * 1000) - 60_000)
        known = new_event(event_name="identify", user_id="ann", anonymous_id=DEVICE)
        await way.send([seen, known])
    path = f"/v1/identity/devices/{quote(DEVICE, safe='')}"
    async with Api(product.url, tenant.secret_key) as api:

        async def people() -> Any:
            return (await api.post("/v1/insights/stickiness", {}))["users"]

        async def timeline(person: str) -> list[str]:
            events = (await api.get(f"/v1/users/{quote(person, safe='')}/timeline"))["events"]
            return [event["event_id"] for event in events]

        async def both_are_anns() -> bool:
            return len(await timeline("ann")) == 2

        # given an anonymous past that is ann's
        await eventually(both_are_anns, timeout=15, interval=0.1)
        link = (await api.get(f"{path}/link"))["link"]
        assert (link["person"], link["event_id"], link["unlinked"]) == ("ann", known["event_id"], False)
        assert await people() == 1
        # when the device is unlinked, its past is its own in every answer
        unlinked = (await api.post(f"{path}/decisions", {"decision": "unlink"}))["link"]
        assert (unlinked["person"], unlinked["user_id"], unlinked["unlinked"]) == (DEVICE, "ann", True)
        assert await people() == 2
        assert (await timeline("ann"), await timeline(DEVICE)) == ([known["event_id"]], [seen["event_id"]])
        listed = await api.get("/v1/identity/unlinked-devices")
        assert [one["anonymous_id"] for one in listed["devices"]] == [DEVICE]
        # and when it is linked again, as before
        linked = (await api.post(f"{path}/decisions", {"decision": "link"}))["link"]
        assert [one["decision"] for one in linked["decisions"]] == ["link", "unlink"]
        assert (linked["person"], await people(), await timeline(DEVICE)) == ("ann", 1, [])


async def test_what_cannot_be_decided_is_refused_with_the_field(product: Product, tenant: Tenant) -> None:
    refusals = []
    async with Api(product.url, tenant.secret_key) as api:
        for device, body in (("d", {"decision": "x"}), ("d", {}), ("d", {"decision": "unlink"}), ("x" * 201, {}),
                             ("d", {"decision": "unlink", "who": "me"}), ("d", {"decision": 1})):  # fmt: skip
            try:
                await api.post(f"/v1/identity/devices/{device}/decisions", body)
            except ApiError as error:
                refusals.append((error.status, error.reason))
    assert refusals == [
        (400, "UNKNOWN_CHOICE"), (400, "UNKNOWN_CHOICE"), (404, "DEVICE_NOT_FOUND"), (400, "BAD_ID"),
        (400, "UNKNOWN_FIELD"), (400, "BAD_FIELD"),
    ]  # fmt: skip
