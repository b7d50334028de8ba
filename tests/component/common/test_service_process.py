"""The life of a service's process, as a process."""

import asyncio
import os
import signal
import sys

_STARTS_FOR_EVER = """
import asyncio
from contextlib import asynccontextmanager
from obc_common.process import run_service
from obc_common.settings import ServiceSettings

@asynccontextmanager
async def build(settings):
    try:
        print("starting", flush=True)
        await asyncio.Event().wait()
        yield
    finally:
        print("closed", flush=True)

run_service(ServiceSettings, build)
"""


async def test_a_process_that_is_still_starting_ends_on_sigterm_and_closes_what_it_opened() -> None:
    environment = {**os.environ, "ANALYTICS_INTERNAL_SECRET": "x" * 32}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _STARTS_FOR_EVER, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"starting\n"
            process.send_signal(signal.SIGTERM)
            rest = await process.stdout.read()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert rest.startswith(b"closed\n")
