"""`make run`: the stack in this terminal, until Ctrl-C."""

import asyncio
import signal
import sys

from obc_dev.servers.local_server import ServerError
from obc_dev.settings import DevSettings
from obc_dev.stack import RunningStack, running_stack
from obc_dev.state import StateFolder
from obc_dev.supervision.console import Console
from obc_dev.supervision.supervisor import StackError, Supervisor

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def run(settings: DevSettings, *, show_log: bool) -> int:
    """Runs until a signal or until a process keeps dying; answers the exit status.

    The first signal ends everything in reverse order with a graceful drain, a second one kills.
    `show_log` = False writes the log to its file only.
    """
    state = StateFolder(settings.dev_state_dir)
    if state.is_running():
        print(f"the stack of {state.path} is running already; see `make status`", file=sys.stderr)
        return 1
    console = Console(state.log_file, sys.stdout if show_log else None)
    supervisor = Supervisor(console)
    body = asyncio.ensure_future(_until_a_process_gives_up(settings, console, supervisor))
    signals = 0

    def on_signal() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            console.say("ending everything (once more to kill)")
            body.cancel()
        else:
            supervisor.kill()

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal)
    try:
        await body
    except asyncio.CancelledError:
        console.say("everything has ended")
        return 0
    except (StackError, ServerError) as error:
        for line in str(error).splitlines():
            console.complain(line)
        if not show_log:
            print(error, file=sys.stderr)
        return 1
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        console.close()
    return 0


async def _until_a_process_gives_up(settings: DevSettings, console: Console, supervisor: Supervisor) -> None:
    async with running_stack(settings, console, supervisor) as stack:
        console.block(summary(settings, stack))
        await supervisor.wait()


def summary(settings: DevSettings, stack: RunningStack) -> str:
    """The block that names everything a newcomer needs."""
    demo = stack.demo
    url = demo["OBC_URL"]
    return f"""
  OpenBioCure Analytics is ready.

    API              {url}
    API reference    {url}/docs          (OpenAPI: {url}/openapi.json)
    Demo shop        {url}/demo
    Health           {url}/health
    WebSocket        {url.replace("http", "ws", 1)}/ws/analytics
    gRPC ingest      {demo["OBC_GRPC_INGEST"]}

    Demo tenant      {demo["OBC_TENANT_ID"]}
    Write key        {demo["OBC_WRITE_KEY"]}
    Secret key       {demo["OBC_SECRET_KEY"]}
    Operator key     {demo["OBC_OPERATOR_KEY"]}

    For a shell:     . {settings.dev_state_dir / "demo.env"}
    Traffic:         make demo
    To end it:       Ctrl-C (or `make down`)
"""
