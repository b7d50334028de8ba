"""The REST route table, built at start-up from the `google.api.http` options: a row per binding of every public RPC."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.api import annotations_pb2, http_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from obc.ingest.v1 import ingest_service_pb2
from obc.query.v1 import identity_service_pb2, query_service_pb2, saved_service_pb2
from obc.tenant_config.v1 import tenant_config_service_pb2

IDENTITY = "obc.query.v1.IdentityService"
INGEST = "obc.ingest.v1.IngestService"
QUERY = "obc.query.v1.QueryService"
SAVED = "obc.query.v1.SavedService"
TENANT_CONFIG = "obc.tenant_config.v1.TenantConfigService"

PUBLIC_SERVICES: tuple[ServiceDescriptor, ...] = (
    ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"],
    query_service_pb2.DESCRIPTOR.services_by_name["QueryService"],
    tenant_config_service_pb2.DESCRIPTOR.services_by_name["TenantConfigService"],
    saved_service_pb2.DESCRIPTOR.services_by_name["SavedService"],
    identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"],
)

_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_INNER_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)\}/")
_VERBS = ("get", "put", "post", "delete", "patch")


class BadBindingError(TypeError):
    """A `google.api.http` option that this gateway cannot serve: a defect of the protos, found at start-up."""


@dataclass(frozen=True, slots=True)
class RouteLimits:
    """What one route may cost: the inflated body in bytes, the whole request in seconds."""

    body_bytes: int
    deadline_seconds: float


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP method and path, and the RPC behind it."""

    http_method: str
    template: str
    variables: tuple[str, ...]
    takes_body: bool
    service: str
    rpc: str
    method: MethodDescriptor
    request_class: type[Message]
    limits: RouteLimits
    streaming: bool
    client_streaming: bool

    @property
    def pattern(self) -> str:
        """The path in aiohttp's notation.

        A variable in the last segment never holds a colon, so `/keys/{id}:rotate` is unambiguous; one before may.
        """
        inner = _INNER_VARIABLE.sub(r"{\1:[^/]+}/", self.template)
        return _VARIABLE.sub(r"{\1:[^/:]+}", inner)


def route_table(
    limits: dict[str, RouteLimits], services: Iterable[ServiceDescriptor] = PUBLIC_SERVICES
) -> tuple[Route, ...]:
    """All routes of `services`; `limits` is by full service name.

    Raises:
        BadBindingError: a binding names a field that is not there, or the same method and path occur twice.
    """
    routes: list[Route] = []
    taken: set[tuple[str, str]] = set()
    for service in services:
        for method in service.methods:
            for rule in _rules(method):
                route = _route(service, method, rule, limits[service.full_name])
                key = (route.http_method, _VARIABLE.sub("{}", route.template))
                if key in taken:
                    raise BadBindingError(f"{method.full_name}: {key[0]} {route.template} is bound twice")
                taken.add(key)
                routes.append(route)
    return tuple(routes)


def _rules(method: MethodDescriptor) -> Iterator[http_pb2.HttpRule]:
    options = method.GetOptions()
    # The stubs of googleapis-common-protos do not type extensions.
    extension: Any = annotations_pb2.http
    if not options.HasExtension(extension):
        return
    rule: http_pb2.HttpRule = options.Extensions[extension]
    yield rule
    yield from rule.additional_bindings


def _route(service: ServiceDescriptor, method: MethodDescriptor, rule: http_pb2.HttpRule, limits: RouteLimits) -> Route:
    verb = rule.WhichOneof("pattern")
    if verb not in _VERBS or rule.response_body or rule.body not in ("", "*"):
        raise BadBindingError(f'{method.full_name}: only plain verbs and body "*" are served')
    if method.client_streaming and not (method.server_streaming and rule.body == "*"):
        raise BadBindingError(f'{method.full_name}: a stream of requests is served as NDJSON both ways, with body "*"')
    template: str = getattr(rule, verb)
    variables = tuple(_VARIABLE.findall(template))
    _check(method, method.input_type, template, variables)
    return Route(
        http_method=verb.upper(),
        template=template,
        variables=variables,
        takes_body=rule.body == "*",
        service=service.full_name,
        rpc=method.name,
        method=method,
        request_class=message_factory.GetMessageClass(method.input_type),
        limits=limits,
        streaming=method.server_streaming,
        client_streaming=method.client_streaming,
    )


def _check(method: MethodDescriptor, request: Descriptor, template: str, variables: tuple[str, ...]) -> None:
    if not template.startswith("/") or "{" in _VARIABLE.sub("", template):
        raise BadBindingError(f"{method.full_name}: {template} is not a path of literals and {{field}} variables")
    for name in variables:
        field = request.fields_by_name.get(name)
        if field is None or field.is_repeated or field.type == FieldDescriptor.TYPE_MESSAGE:
            raise BadBindingError(f"{method.full_name}: {{{name}}} is not a scalar field of {request.full_name}")
