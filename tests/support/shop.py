"""Half a year of a real shop: 31,106 events that nobody of this project made up, and how they are sent."""

import csv
import gzip
import os
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from obc_dev.api import Api
from tests.support.eventually import eventually
from tests.support.product import Event, Product, RestWay, Tenant, Way

_ROOT = Path(__file__).resolve().parents[2]
_FILE = Path(os.environ.get("OBC_SHARED_DATA", _ROOT.parent / "shared" / "data")) / "ecom.csv.gz"
_BATCH = 500
RANGE = {"from": "2024-01-01T00:00:00Z", "to": "2024-07-01T00:00:00Z"}

Row = dict[str, str]


def read_shop() -> list[Row]:
    """The rows of the file. Skips the test, loudly, where there is none."""
    if not _FILE.exists():
        pytest.skip(f"NO REAL DATA: {_FILE} is not there, so nothing is checked against it (set OBC_SHARED_DATA)")
    with gzip.open(_FILE, "rt", newline="") as file:
        return list(csv.DictReader(file))


def event_id(number: int) -> uuid.UUID:
    """Of the row of this number, always the same."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"ecom/{number}")


def as_event(number: int, row: Row) -> Event:
    """A row as it is sent."""
    moment = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)
    return {
        "event_id": str(event_id(number)),
        "event_name": row["event"],
        "event_category": "shop",
        "user_id": row["user_id"],
        "session_id": row["session_id"],
        "timestamp": int(moment.timestamp() * 1000),
        "properties": {name: row[name] for name in ("platform", "acquisition_channel", "user_cohort")},
        "device_info": {"device_type": row["platform"]},
    }


async def send_all(way: Way, events: Sequence[Event]) -> Counter[str]:
    """Sends events in batches; how many had which result."""
    results: Counter[str] = Counter()
    async with way:
        for start in range(0, len(events), _BATCH):
            batch = events[start : start + _BATCH]
            answers = await way.send(batch)
            assert [answer["event_id"] for answer in answers] == [event["event_id"] for event in batch]
            results.update(answer["result"] for answer in answers)
    return results


async def until_visible(api: Api, events: int) -> None:
    """Waits until questions see so many events."""

    async def all_there() -> bool:
        parameters = {"metrics": "events", "interval": "month", **RANGE}
        [series] = (await api.get("/api/analytics/metrics", parameters))["series"]
        return bool(series["total"] == events)

    await eventually(all_there, timeout=20, interval=0.1)


async def open_shop(product: Product, rows: Sequence[Row]) -> Tenant:
    """A tenant with the whole file in it, visible to questions."""
    tenant = await product.new_tenant("shop")
    results = await send_all(RestWay(product, tenant), [as_event(number, row) for number, row in enumerate(rows)])
    assert results == {"accepted": len(rows)}
    async with Api(product.url, tenant.secret_key) as api:
        await until_visible(api, len(rows))
    return tenant
