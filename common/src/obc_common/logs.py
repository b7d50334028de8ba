"""Structured logs: one JSON object a line (or a readable line in development), with correlation id and tenant."""

import logging
import os
import sys
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from obc_common.context import correlation_id_var, principal_var


def configure_logging(service: str, level: str, log_format: Literal["json", "console"]) -> None:
    """Sets up structlog, and sends the standard library's loggers through it.

    Args:
        service: name of the process, in every line.
        level: least severe level to log.
        log_format: `json` or `console`.
    """

    def add_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_context,
        structlog.processors.StackInfoRenderer(),
    ]
    render: list[structlog.typing.Processor]
    if log_format == "json":
        render = [add_service, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_to_json)]
    else:
        # Plain tracebacks: the pretty ones print local variables, secrets among them.
        plain = structlog.dev.plain_traceback
        colours = sys.stdout.isatty() or _colours_forced()
        render = [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain)]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _to_json(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; call it with an event name in snake_case and keyword values, never with formatted text."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _add_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    correlation_id = correlation_id_var.get()
    if correlation_id:
        event.setdefault("correlation_id", correlation_id)
    principal = principal_var.get()
    if principal is not None and principal.tenant_id:
        event.setdefault("tenant_id", principal.tenant_id)
    return event


def _colours_forced() -> bool:
    return os.environ.get("FORCE_COLOR", "") not in ("", "0")
