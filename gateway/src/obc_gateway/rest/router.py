"""Puts the route table into an aiohttp application."""

from collections.abc import Iterable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from obc_gateway.settings import Settings
from obc_gateway.transcoding.routes import IDENTITY, INGEST, QUERY, SAVED, TENANT_CONFIG, Route, RouteLimits

# What the seed's client calls; a setting gives it a second name.
_SEED_PREFIX = "/api/analytics/"


def route_limits(settings: Settings) -> dict[str, RouteLimits]:
    """Body size and deadline by service: the same for every caller."""
    return {
        INGEST: RouteLimits(settings.batch_body_bytes, settings.ingest_deadline_seconds),
        QUERY: RouteLimits(settings.control_body_bytes, settings.query_deadline_seconds),
        SAVED: RouteLimits(settings.control_body_bytes, settings.control_deadline_seconds),
        IDENTITY: RouteLimits(settings.control_body_bytes, settings.control_deadline_seconds),
        TENANT_CONFIG: RouteLimits(settings.control_body_bytes, settings.control_deadline_seconds),
    }


def patterns(route: Route, extra_prefix: str) -> list[str]:
    """The route's paths: its own, and the one under the extra prefix."""
    paths = [route.pattern]
    if extra_prefix and route.pattern.startswith(_SEED_PREFIX):
        paths.append(f"{extra_prefix}/{route.pattern.removeprefix(_SEED_PREFIX)}")
    return paths


def ingest_paths(routes: Iterable[Route], extra_prefix: str) -> frozenset[str]:
    """The exact paths that take batches, from any page."""
    return frozenset(path for route in routes if takes_batches(route) for path in patterns(route, extra_prefix))


def takes_batches(route: Route) -> bool:
    """True for the route of browsers and beacons, false for what needs a secret key."""
    return route.service == INGEST and route.rpc == "IngestBatch"


def add_routes(app: web.Application, handlers: Mapping[Route, Handler], extra_prefix: str) -> None:
    """Adds every row of the table with its handler."""
    for route, handler in handlers.items():
        for path in patterns(route, extra_prefix):
            app.router.add_route(route.http_method, path, handler)
