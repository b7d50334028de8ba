"""The life of a process around the SDK: its end, its forks, and its end from Python 3.12 on."""

import asyncio
import os
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.component.sdk_python.conftest import MakeKey
from tests.support.ingest import Ingest

# Programs of a customer: nothing of the suite's own is imported.
FORGETFUL = """
import sys
from obc_analytics import Analytics
analytics = Analytics(sys.argv[1], address=sys.argv[2])
for number in range(300):
    print(analytics.track("tick", {"n": number}))
"""

# From 3.12 on no thread can be started once the interpreter ends; here that is enforced, whatever the version.
THREADLESS_END = """
import atexit, sys, threading
from obc_analytics import Analytics, Options
analytics = Analytics(sys.argv[1], address=sys.argv[2], options=Options(batch_seconds=60))
print(analytics.track("tick"))
def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")
atexit.register(setattr, threading.Thread, "start", refuse)
"""

FORKING = """
import os, sys
from obc_analytics import Analytics, Options
analytics = Analytics(sys.argv[1], address=sys.argv[2], options=Options(batch_seconds=0.2))
ids = [analytics.track("parent") for _ in range(50)]
analytics.flush()
ids += [analytics.track("parent") for _ in range(50)]     # still queued, or on the wire, when the child is made
children = []
for child in range(3):
    pid = os.fork()
    if pid == 0:
        assert analytics.stats.queued == 0, "the parent's queue is the parent's"
        ids = [analytics.track("child") for _ in range(50)]
        analytics.flush(30)
        assert analytics.stats.accepted == 50, analytics.stats
        os.write(1, ("\\n".join(ids) + "\\n").encode())
        os._exit(0)
    children.append(pid)
    ids += [analytics.track("parent") for _ in range(10)]
for pid in children:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
analytics.flush(30)
assert analytics.stats.accepted == 130, analytics.stats   # no duplicate: nobody else sent the parent's events
os.write(1, ("\\n".join(ids) + "\\n").encode())
"""


README = Path(__file__).resolve().parents[3] / "sdk/python/README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


async def run(program: str, *arguments: str, **environment: str) -> list[str]:
    """What the program printed. Fails with its errors unless it ended well, in time."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        *arguments,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return out.decode().split()


@pytest.mark.parametrize("program", [FORGETFUL, THREADLESS_END, FORKING], ids=["forgetful", "threadless", "forking"])
async def test_every_event_of_a_program_that_ends_is_stored_once(
    ingest: Ingest, write_key: MakeKey, program: str
) -> None:
    tenant = await ingest.make_tenant()
    ids = await run(program, await write_key(tenant), f"127.0.0.1:{ingest.server.port}")
    assert ids
    assert Counter(str(row["event_id"]) for row in await ingest.stored(tenant)) == Counter(ids)


async def test_a_program_ends_in_time_though_nobody_is_there() -> None:
    program = """
import sys
from obc_analytics import Analytics, Options
Analytics("wk_test", address="127.0.0.1:1", options=Options(close_seconds=0.5)).track("tick")
"""
    started = asyncio.get_running_loop().time()
    await run(program)
    assert asyncio.get_running_loop().time() - started < 15


@pytest.mark.parametrize(("number", "events"), [(0, 1000), (1, 100), (2, 1)])
async def test_the_examples_of_the_readme_run(
    ingest: Ingest, gateway_port: int, write_key: MakeKey, number: int, events: int
) -> None:
    tenant = await ingest.make_tenant()
    await run(
        EXAMPLES[number],
        OBC_WRITE_KEY=await write_key(tenant),
        OBC_GRPC_INGEST=f"127.0.0.1:{ingest.server.port}",
        OBC_URL=f"http://127.0.0.1:{gateway_port}",
    )
    assert len(EXAMPLES) == 3
    assert len(await ingest.stored(tenant)) == events
