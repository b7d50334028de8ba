"""The life of a service's process: settings, logs, loop, signals, drain."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

import uvloop
from pydantic import ValidationError

from obc_common.logs import configure_logging, get_logger
from obc_common.settings import ServiceSettings, setting_mistakes
from obc_common.tracing import configure_tracing

_COLLECT_AFTER = 20_000
"""Containers made and not yet freed before the youngest are looked at."""


class Drainable(Protocol):
    """A started server."""

    async def drain(self) -> None:
        """Ends gracefully."""
        ...


_Settings = TypeVar("_Settings", bound=ServiceSettings)
Build = Callable[[_Settings], AbstractAsyncContextManager[Drainable]]


def run_service(settings_class: type[_Settings], build: Build[_Settings]) -> None:
    """Runs a service until SIGTERM or SIGINT; exits with 2 and one line per mistake when the settings are wrong.

    Args:
        settings_class: read from the environment.
        build: the service's `app.build`: everything it makes is closed in reverse when its context ends.
    """
    service = settings_class.__module__.split(".")[0].removeprefix("obc_").replace("_", "-")
    try:
        settings = settings_class()
    except ValidationError as error:
        for mistake in setting_mistakes(error):
            print(f"{service}: {mistake}", file=sys.stderr)
        sys.exit(2)
    configure_logging(service, settings.log_level, settings.log_format)
    configure_tracing(service, settings.otlp_endpoint)
    try:
        uvloop.run(_serve(service, settings, build))
    except OSError as error:
        get_logger(__name__).error("cannot_start", error=str(error))
        sys.exit(1)


def _calm_garbage_collector() -> None:
    """Collects cycles less often: reference counts free nearly everything here.

    A batch makes thousands of containers that live until its commit; with the default threshold of 700 the collector
    walked them again and again, an eighth of ingest's time. What exists at start is never looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


async def _serve(service: str, settings: _Settings, build: Build[_Settings]) -> None:
    log = get_logger(__name__)
    stop = asyncio.Event()
    serving = False
    body = asyncio.current_task()
    assert body is not None

    def end() -> None:
        if not serving and not stop.is_set():
            body.cancel()  # still starting, perhaps for something that never comes: there is nothing to drain
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    try:
        async with build(settings) as server:
            serving = True
            _calm_garbage_collector()
            log.info("ready_to_serve", name=service)
            await stop.wait()
            await server.drain()
    except asyncio.CancelledError:
        if serving or not stop.is_set():
            raise
    log.info("stopped", name=service)
