"""The route table covers every annotated RPC, and nothing else."""

import pytest
from google.api import annotations_pb2

from obc_gateway.rest.router import ingest_paths, patterns, route_limits
from obc_gateway.settings import Settings
from obc_gateway.transcoding.routes import INGEST, PUBLIC_SERVICES, BadBindingError, route_table

SETTINGS = Settings(internal_secret="s" * 32)
# For the suite's own processes, or carried by a WebSocket: not on REST.
NOT_ON_REST = {"IngestStream", "WatchConfigs", "ResolveKey", "ReportKeyUse"}


def test_every_annotated_rpc_is_routed_with_all_its_bindings_and_no_public_rpc_lacks_one() -> None:
    routes = route_table(route_limits(SETTINGS))
    for service in PUBLIC_SERVICES:
        for method in service.methods:
            templates = [route.template for route in routes if route.method.full_name == method.full_name]
            if method.name in NOT_ON_REST:
                assert templates == []
                continue
            rule = method.GetOptions().Extensions[annotations_pb2.http]  # type: ignore[index,var-annotated]  # untyped extension
            assert len(templates) == 1 + len(rule.additional_bindings)


def test_the_seeds_paths_are_there() -> None:
    table = {(route.http_method, route.template) for route in route_table(route_limits(SETTINGS))}
    assert {
        ("POST", "/api/analytics/batch"),
        ("GET", "/api/analytics/events"),
        ("GET", "/api/analytics/metrics"),
        ("GET", "/api/analytics/dashboard"),
    } <= table


def test_every_route_has_limits_of_its_service() -> None:
    for route in route_table(route_limits(SETTINGS)):
        assert route.limits.deadline_seconds > 0
        assert route.limits.body_bytes == (4 if route.service == INGEST else 1) * 1024 * 1024


def test_variables_never_swallow_a_verb() -> None:
    [rotate] = [r for r in route_table(route_limits(SETTINGS)) if r.template == "/v1/keys/{key_id}:rotate"]
    assert rotate.pattern == "/v1/keys/{key_id:[^/:]+}:rotate"


def test_a_variable_inside_a_path_may_hold_a_colon() -> None:
    [timeline] = [r for r in route_table(route_limits(SETTINGS)) if r.rpc == "GetUserTimeline"]
    assert timeline.pattern == "/v1/users/{id:[^/]+}/timeline"


def test_the_extra_prefix_adds_names_for_the_seeds_paths_only() -> None:
    routes = route_table(route_limits(SETTINGS))
    assert ingest_paths(routes, "/c") == {"/v1/events:batch", "/api/analytics/batch", "/c/batch"}
    assert all(len(patterns(route, "")) == 1 for route in routes)


def test_the_same_address_twice_is_found_at_start_up() -> None:
    with pytest.raises(BadBindingError):
        route_table(route_limits(SETTINGS), [*PUBLIC_SERVICES, PUBLIC_SERVICES[0]])
