"""Insights and dashboards are saved, shared, changed and asked again through the public API."""

from typing import Any

import aiohttp
import pytest

from obc_dev.api import Api
from tests.support.eventually import eventually
from tests.support.product import Product, RestWay, Tenant, new_event

QUESTION: dict[str, Any] = {"event": {"names": ["page_view"]}, "interval": "day", "timezone": "Europe/Berlin"}


@pytest.fixture
def headers(tenant: Tenant) -> dict[str, str]:
    return {"Authorization": f"Bearer {tenant.secret_key}"}


async def test_a_saved_question_is_found_on_its_dashboard_and_answers_when_it_is_sent(
    product: Product, tenant: Tenant
) -> None:
    async with RestWay(product, tenant) as way:
        await way.send([new_event(user_id="u")])
    async with Api(product.url, tenant.secret_key) as api:
        made = await api.post(
            "/v1/saved/insights", {"name": "Readers", "kind": "stickiness", "request": QUESTION, "description": "daily"}
        )
        insight_id = made["insight"]["insight_id"]
        tile = {"insight_id": insight_id, "x": 0, "y": 0, "width": 6, "height": 4}
        board = await api.post(
            "/v1/saved/dashboards", {"name": "Board", "tiles": [tile], "time_range": {"last_hours": 24}}
        )
        # somebody else opens the dashboard and asks what its tiles say
        shown = await api.get(f"/v1/saved/dashboards/{board['dashboard']['dashboard_id']}")
        [insight] = shown["insights"]
        assert insight["request"] == QUESTION

        async def answered() -> bool:
            answer = await api.post(f"/v1/insights/{insight['kind']}", insight["request"])
            return bool(answer["users"] == 1)

        await eventually(answered, timeout=15, interval=0.1)
        listed = await api.get("/v1/saved/insights", {"kind": "stickiness", "order": "newest"})
        assert [one["insight_id"] for one in listed["insights"]] == [insight_id]


async def test_versions_conflicts_deletion_and_restoring_over_rest(product: Product, headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession(product.url, headers=headers) as http:

        async def call(method: str, path: str, status: int = 200, **body: Any) -> Any:
            async with http.request(method, path, json=body or None) as answer:
                content = await answer.json()
                assert answer.status == status, content
                return content

        made = await call("POST", "/v1/saved/insights", name="A", kind="sessions")
        path = f"/v1/saved/insights/{made['insight']['insight_id']}"
        changed = await call("PUT", path, expected_version=1, name="B", kind="stickiness", request=QUESTION)
        late = await call("PUT", path, 409, expected_version=1, name="C", kind="sessions")
        bad = await call("PUT", path, 400, expected_version=2, name="C", kind="stickiness", request={"interval": "x"})
        unknown = await call("POST", "/v1/saved/insights", 400, name="D", kind="sessions", request={"x": 1})
        assert changed["insight"]["version"] == 2
        assert late["error"]["reason"] == "VERSION_CONFLICT"
        assert {"metadata": {"version": "2"}} in late["error"]["details"]
        assert (bad["error"]["reason"], bad["error"]["details"][0]["field"]) == ("UNKNOWN_INTERVAL", "request.interval")
        assert unknown["error"]["details"][0]["field"] == "request.x"
        assert (await call("GET", f"{path}?version=1"))["insight"]["name"] == "A"
        assert [one["version"] for one in (await call("GET", f"{path}/versions"))["versions"]] == [2, 1]

        tile = {"insight_id": made["insight"]["insight_id"], "x": 0, "y": 0, "width": 12, "height": 1}
        board = await call("POST", "/v1/saved/dashboards", name="Board", tiles=[tile])
        board_path = f"/v1/saved/dashboards/{board['dashboard']['dashboard_id']}"
        assert (await call("DELETE", path, 409))["error"]["reason"] == "INSIGHT_IN_USE"
        await call("DELETE", f"{board_path}?expected_version=1")
        await call("DELETE", path)
        await call("GET", path, 404)
        assert (await call("POST", f"{board_path}:restore", 409))["error"]["reason"] == "INSIGHT_DELETED"
        assert (await call("POST", f"{path}:restore"))["insight"]["name"] == "B"
        assert (await call("POST", f"{board_path}:restore"))["dashboard"] == board["dashboard"]
