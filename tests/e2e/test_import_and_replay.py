"""History and bad rows with the `obc` command against the whole product."""

import asyncio
import gzip
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from obc_cli.importing import ImportJob
from obc_dev.api import Api
from tests.support.eventually import eventually
from tests.support.product import Product, Tenant, new_event

_DAY_MS = 86_400_000


async def obc(product: Product, tenant: Tenant, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """Runs the command: its status, its lines, its log."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "obc_cli",
        *arguments,
        env={**os.environ, "OBC_URL": product.url, "OBC_KEY": tenant.secret_key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, log = await asyncio.wait_for(process.communicate(), 90)
    return process.returncode or 0, [orjson.loads(line) for line in out.splitlines()], log.decode()


async def test_a_file_of_old_events_is_imported_once_and_can_be_asked_about(
    product: Product, tenant: Tenant, tmp_path: Path
) -> None:
    # given a packed file of events of two years ago with two bad lines in it, and a retention that is longer
    await product.change_rules(tenant, retention_days=1000)
    first_ms = int(time.time() * 1000) - 730 * _DAY_MS
    events = [new_event(timestamp=first_ms + index, session_id=f"s{index // 10}") for index in range(5000)]
    lines = [orjson.dumps(event) for event in events]
    lines[1234:1234] = [b'{"event_id":', orjson.dumps(new_event(user_id="null"))]
    file = tmp_path / "history.ndjson.gz"
    file.write_bytes(gzip.compress(b"\n".join(lines)))
    # when it is imported twice
    status, problems, log = await obc(product, tenant, "import", str(file))
    again, _, second_log = await obc(product, tenant, "import", str(file))
    # then
    assert (status, again) == (1, 1)
    assert [(line["line"], line["code"]) for line in problems] == [(1235, "bad_json"), (1236, "bad_user_id")]
    assert "done: 5000 accepted, 0 duplicate, 0 dropped, 2 rejected" in log
    assert "done: 0 accepted, 5000 duplicate, 0 dropped, 2 rejected" in second_log
    assert os.listdir(tmp_path) == ["history.ndjson.gz"]
    stored = await product.stored(tenant)
    assert sorted(str(row["event_id"]) for row in stored) == sorted(event["event_id"] for event in events)
    async with Api(product.url, tenant.secret_key) as api:
        span = {"from": str(first_ms), "to": str(first_ms + 10_000), "metrics": "events,sessions"}

        async def counted() -> bool:
            answer = await api.get("/v1/metrics", span)
            return [series["total"] for series in answer["series"]] == [5000, 500]

        await eventually(counted, timeout=20, interval=0.2)


async def test_an_import_goes_on_where_an_earlier_one_ended(product: Product, tenant: Tenant, tmp_path: Path) -> None:
    # given a file, half of which is imported
    file = tmp_path / "history.ndjson"
    file.write_bytes(b"\n".join(orjson.dumps(new_event()) for _ in range(100)))
    job = ImportJob(file, tmp_path / "history.ndjson.obc-import", 51, Counter(accepted=50))
    job.save()
    # when
    code, _, log = await obc(product, tenant, "import", str(file))
    # then the other half is
    assert code == 0
    assert "going on from line 51" in log
    assert "done: 100 accepted" in log
    assert len(await product.stored(tenant)) == 50


async def test_bad_rows_are_listed_counted_and_replayed(product: Product, tenant: Tenant) -> None:
    # given events of which two are bad
    async with Api(product.url, tenant.write_key) as api:
        bad = [new_event(user_id="null"), new_event(event_name="")]
        await api.post("/v1/events:batch", {"events": [new_event(), *bad]})
    # when they are listed and counted
    _, rows, _ = await obc(product, tenant, "bad-rows")
    _, [only], _ = await obc(product, tenant, "bad-rows", "--code", "bad_user_id")
    async with Api(product.url, tenant.secret_key) as api:
        quality = await api.get("/v1/data-quality")
    # then
    assert sorted(row["code"] for row in rows) == ["bad_event_name", "bad_user_id"]
    assert orjson.loads(only["body"])["event_id"] == bad[0]["event_id"] == only["event_id"]
    assert [(group["code"], group["count"], group["open"]) for group in quality["bad_rows"]] == [
        ("bad_event_name", 1, 1),
        ("bad_user_id", 1, 1),
    ]
    assert quality["bad_rows"][1]["samples"][0]["id"] == only["id"]
    # and a replay without a fix changes nothing and says so
    status, results, log = await obc(product, tenant, "replay", "--code", "bad_user_id")
    assert (status, [(one["id"], one["result"]) for one in results]) == (1, [(only["id"], "rejected")])
    assert "0 accepted, 0 duplicate, 0 dropped, 1 rejected, 0 skipped" in log


async def test_a_key_that_may_not_is_told_so(product: Product, tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "x.ndjson"
    file.write_bytes(b"{}")
    stranger = Tenant(tenant.tenant_id, "", tenant.write_key)

    status, _, log = await obc(product, stranger, "import", str(file))

    assert status == 2
    assert "SECRET_KEY_REQUIRED" in log
