"""The stack itself: what `make run` and its relatives do."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import aiohttp
import psutil
import pytest

from obc_dev.api import Api
from tests.support.eventually import eventually
from tests.support.product import Product, RestWay, SocketWay, Tenant, new_event
from tests.support.stack_process import StackProcess


async def test_demo_env_names_everything_a_newcomer_needs_and_its_keys_work(
    stack: StackProcess, product: Product
) -> None:
    demo = stack.state.read_demo_env()
    names = {"OBC_URL", "OBC_TENANT_ID", "OBC_WRITE_KEY", "OBC_SECRET_KEY", "OBC_OPERATOR_KEY", "OBC_GRPC_INGEST"}

    assert names == set(demo)
    async with RestWay(product, Tenant(demo["OBC_TENANT_ID"], demo["OBC_WRITE_KEY"], demo["OBC_SECRET_KEY"])) as way:
        [result] = await way.send([new_event()])
    assert result["result"] == "accepted"
    async with Api(product.url, demo["OBC_SECRET_KEY"]) as api:
        assert (await api.get("/v1/config"))["config"]["tenant_id"] == demo["OBC_TENANT_ID"]


async def test_a_taken_port_is_an_error_that_names_port_setting_and_holder(stack: StackProcess, tmp_path: Path) -> None:
    port = stack.ports["ANALYTICS_GATEWAY_PORT"]
    environment = {**os.environ, **{name: str(number) for name, number in stack.ports.items()}}
    environment["ANALYTICS_DEV_STATE_DIR"] = str(tmp_path / "other")

    command = [sys.executable, "-m", "obc_dev", "run"]
    done = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert f"port {port} is taken by " in done.stdout
    assert "set ANALYTICS_GATEWAY_PORT to another port" in done.stdout


@pytest.mark.parametrize("name", ["ingest", "query"])
async def test_a_service_that_is_killed_comes_back_and_nothing_acknowledged_is_lost(
    stack: StackProcess, product: Product, tenant: Tenant, name: str
) -> None:
    process = _process(stack, name)
    async with RestWay(product, tenant) as way:
        first = new_event()
        await way.send([first])
        process.kill()
        second = new_event()

        async def accepted() -> bool:
            try:
                [result] = await way.send([second])
            except Exception:  # whatever the gateway says while the service is away, it is to be sent again
                return False
            return result["result"] in ("accepted", "duplicate")

        await eventually(accepted, timeout=30, interval=0.1)

    async with Api(product.url, tenant.secret_key) as api:

        async def both_listed() -> bool:
            try:
                events = (await api.get("/api/analytics/events"))["events"]
            except Exception:
                return False
            return {event["event_id"] for event in events} == {first["event_id"], second["event_id"]}

        await eventually(both_listed, timeout=30, interval=0.1)


async def test_a_gateway_that_is_told_to_end_acknowledges_first_and_closes_sockets_with_1012(
    stack: StackProcess, product: Product, tenant: Tenant
) -> None:
    async with SocketWay(product, tenant) as way:
        await way.socket.send_json({"type": "events", "seq": 1, "events": [new_event()]})
        _process(stack, "gateway").terminate()
        ack = await way.receive("ack")
        message = await way.socket.receive(timeout=15)

    assert [result["result"] for result in ack["results"]] == ["accepted"]
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1012)
    assert len(await product.stored(tenant)) == 1

    async def is_back() -> bool:
        try:
            async with RestWay(product, tenant) as rest:
                return bool(await rest.send([new_event()]))
        except aiohttp.ClientError:
            return False

    await eventually(is_back, timeout=30, interval=0.1)


def _process(stack: StackProcess, name: str) -> psutil.Process:
    assert stack.process is not None
    for child in psutil.Process(stack.process.pid).children(recursive=True):
        if child.cmdline()[-2:] == ["-m", f"obc_{name}"]:
            return child
    raise AssertionError(f"{name} does not run")
