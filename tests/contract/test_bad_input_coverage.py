"""The list of bad inputs and the tests that hold each line: a line without a test, or a test that is gone, fails here.

The numbers are those of the specification's table of bad inputs. `LATER` names the lines of features that do not exist
yet (webhooks, exports, erasure, the dashboard, cohorts), so that none is forgotten.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

_TESTS = Path(__file__).resolve().parents[1]

_VALIDATE = "unit/ingest/test_validate_events.py"
_DECODE = "unit/ingest/test_decode_batches.py"
_STORED = "component/ingest/test_events_are_stored.py"
_ONCE = "component/ingest/test_events_are_stored_once.py"
_REFUSED = "component/ingest/test_refused_events.py"
_QUOTA = "component/ingest/test_event_quota.py"
_OUTAGES = "component/ingest/test_ingest_outages.py"
_STREAMS = "component/ingest/test_ingest_streams.py"
_IMPORT = "component/ingest/test_import_chunks.py"
_REST = "component/gateway/test_gateway_ingest_rest.py"
_SOCKET = "component/gateway/test_gateway_ingest_socket.py"
_SOCKET_AUTH = "component/gateway/test_gateway_socket_auth.py"
_SOCKET_FRAMES = "component/gateway/test_gateway_socket_frames.py"
_EDGE = "component/gateway/test_gateway_edge.py"
_API = "component/gateway/test_gateway_api.py"
_JWT = "unit/common/test_jwt_verifier.py"
_KEYS = "component/tenant_config/test_keys.py"
_LIST = "component/query/test_list_events.py"
_LINES = "e2e/test_bad_inputs.py"

COVERED: dict[int, tuple[str, ...]] = {
    1: (f"{_DECODE}::test_a_batch_that_cannot_be_read_is_refused_as_a_whole", f"{_LINES}::test_line_whole_batches"),
    2: (f"{_DECODE}::test_a_batch_that_cannot_be_read_is_refused_as_a_whole", f"{_LINES}::test_line_whole_batches"),
    3: (
        f"{_REFUSED}::test_a_bad_event_is_kept_and_the_rest_of_its_batch_is_accepted",
        f"{_LINES}::test_line_single_events",
    ),
    4: (
        f"{_VALIDATE}::test_bad_data_is_rejected_with_its_code_and_field",
        f"{_LINES}::test_line_4_capitals_are_the_same_id",
    ),
    5: (f"{_ONCE}::test_the_same_id_twice_in_a_batch_is_stored_once_and_the_first_wins",),
    6: (
        f"{_ONCE}::test_eight_senders_and_two_replicas_store_each_event_once",
        "e2e/test_seed_client.py::test_an_event_sent_over_socket_and_batch_is_stored_once",
    ),
    7: (f"{_ONCE}::test_an_id_of_another_tenant_is_another_event",),
    8: (f"{_ONCE}::test_another_payload_under_a_known_id_is_a_duplicate_and_is_counted",),
    9: (f"{_VALIDATE}::test_times_are_milliseconds_or_rfc_3339", f"{_LINES}::test_line_single_events"),
    10: (f"{_VALIDATE}::test_bad_data_is_rejected_with_its_code_and_field", f"{_LINES}::test_line_single_events"),
    11: (f"{_VALIDATE}::test_nul_in_values_is_replaced_and_said", f"{_LINES}::test_line_single_events"),
    12: (f"{_DECODE}::test_a_batch_that_cannot_be_read_is_refused_as_a_whole", f"{_LINES}::test_line_whole_batches"),
    13: (f"{_DECODE}::test_a_batch_that_cannot_be_read_is_refused_as_a_whole", f"{_LINES}::test_line_whole_batches"),
    14: (f"{_DECODE}::test_a_batch_that_cannot_be_read_is_refused_as_a_whole", f"{_LINES}::test_line_whole_batches"),
    15: (f"{_VALIDATE}::test_bad_data_is_rejected_with_its_code_and_field", f"{_LINES}::test_line_single_events"),
    16: (f"{_DECODE}::test_a_hundred_thousand_brackets_are_refused_quickly", f"{_LINES}::test_line_single_events"),
    17: (
        f"{_VALIDATE}::test_strange_keys_are_kept_verbatim",
        f"{_LINES}::test_line_17_strange_keys_are_stored_and_found",
    ),
    18: (f"{_DECODE}::test_of_duplicate_keys_the_last_wins",),
    19: (f"{_REST}::test_line_19_a_batch_over_4_mib_is_too_large", f"{_LINES}::test_line_single_events"),
    20: (f"{_EDGE}::test_line_20_a_gigabyte_announced_is_413_at_once_and_the_connection_ends",),
    21: (
        f"{_EDGE}::test_line_21_a_body_that_never_ends_is_408",
        f"{_EDGE}::test_line_21_headers_that_never_end_are_408",
        f"{_EDGE}::test_line_21_connections_over_the_cap_are_closed",
        "component/gateway/test_gateway_import.py::test_line_21_a_client_that_sends_no_more_is_answered_and_ended",
    ),
    22: (
        f"{_REST}::test_line_22_bombs_and_broken_encodings",
        "unit/gateway/test_inflate.py::test_a_bomb_is_refused_and_costs_less_than_8_mib",
        "component/gateway/test_gateway_import.py::test_line_22_a_truncated_file_ends_with_an_error_after_what_was_whole",
    ),
    23: (f"{_REST}::test_line_23_content_types",),
    24: (
        f"{_EDGE}::test_line_24_malformed_http_is_400_in_our_error_body_with_our_headers",
        f"{_EDGE}::test_line_24_a_bad_chunk_size_is_400",
    ),
    25: (
        f"{_REST}::test_line_25_credentials_on_ingest",
        f"{_KEYS}::test_a_revoked_key_stops_working_within_two_seconds",
        f"{_LINES}::test_line_25_a_key_of_the_other_kind_is_403",
    ),
    26: (
        f"{_REST}::test_line_26_a_header_that_names_another_tenant_is_refused",
        "e2e/test_seed_client.py::test_the_tenant_is_never_believed_from_the_request",
    ),
    27: (
        f"{_JWT}::test_each_is_refused_with_one_and_the_same_answer",
        f"{_JWT}::test_all_of_them_together_cost_one_fetch_a_minute",
    ),
    28: (
        f"{_EDGE}::test_line_28_preflights_of_ingest",
        f"{_EDGE}::test_line_28_a_write_key_with_a_list_of_origins",
        f"{_SOCKET_AUTH}::test_line_28_origins_of_a_key_with_a_list",
    ),
    29: (
        f"{_SOCKET_AUTH}::test_line_29_without_a_first_message_it_closes_4401",
        f"{_SOCKET_AUTH}::test_line_29_a_bad_first_frame_closes_4401",
    ),
    30: (
        f"{_SOCKET_FRAMES}::test_line_30_binary_closes_1003_and_a_2_mb_frame_1009",
        f"{_SOCKET_FRAMES}::test_line_30_a_deflate_bomb_is_refused_because_compression_is_not_negotiated",
        f"{_SOCKET_FRAMES}::test_line_30_invalid_utf8_and_unmasked_frames",
        f"{_SOCKET_FRAMES}::test_line_30_a_flood_of_empty_frames_closes_4429",
    ),
    31: (f"{_SOCKET}::test_line_31_a_client_that_never_reads_is_dropped_and_memory_is_bounded",),
    32: (
        "e2e/test_stack.py::test_a_service_that_is_killed_comes_back_and_nothing_acknowledged_is_lost",
        f"{_OUTAGES}::test_what_was_accepted_survives_a_crash_of_postgresql",
    ),
    33: (
        f"{_OUTAGES}::test_without_postgresql_nothing_is_promised_and_the_service_recovers_unaided",
        f"{_OUTAGES}::test_a_network_that_swallows_everything_is_a_503_in_time_and_no_more",
        f"{_OUTAGES}::test_line_33_a_database_that_is_read_only_or_full_is_a_503",
    ),
    34: (
        f"{_OUTAGES}::test_without_redis_events_are_accepted_as_before",
        f"{_API}::test_line_34_redis_away_costs_no_5xx",
        "e2e/test_live_feed.py::test_losing_redis_loses_no_event_and_the_feed_says_that_it_is_degraded",
    ),
    35: (
        f"{_QUOTA}::test_rate_limits_are_refused_with_a_time_and_too_dear_batches_for_good",
        f"{_REST}::test_line_35_what_ingest_says_becomes_status_and_retry_after",
    ),
    37: (
        "component/ingest/test_bad_grpc_messages.py::test_line_37_messages_that_are_too_large_are_resource_exhausted",
        "component/ingest/test_bad_grpc_messages.py::test_line_37_bytes_that_are_no_message_are_an_invalid_argument",
        "component/ingest/test_bad_grpc_messages.py::test_line_37_unknown_fields_are_accepted",
        "component/ingest/test_bad_grpc_messages.py::test_line_37_a_call_without_credential_is_unauthenticated",
    ),
    38: (f"{_LIST}::test_hostile_names_and_values_are_data", f"{_LINES}::test_line_38_hostile_filters_are_literals"),
    39: (f"{_LIST}::test_a_token_is_bound_to_its_arguments_and_tenant", f"{_LINES}::test_line_query_parameters"),
    40: (f"{_LINES}::test_line_40_what_is_no_number_is_left_out_of_a_percentile",),
    41: (
        f"{_LINES}::test_line_query_parameters",
        f"{_LINES}::test_line_41_a_day_of_the_clock_change_has_23_or_25_hours",
        "unit/query/test_buckets_and_ranges.py::test_more_than_ten_thousand_buckets_are_refused",
    ),
    44: (
        "component/query/saved/test_saved_insights.py::test_line_44_another_tenants_things_are_not_there",
        "component/query/saved/test_saved_dashboards.py::test_line_44_another_tenants_dashboard_is_not_there",
        "component/query/saved/test_saved_cohorts.py::test_line_44_another_tenants_cohort_is_not_there",
        "component/query/identity/test_identity_service.py::test_line_44_another_tenants_device_is_not_there",
        f"{_KEYS}::test_another_tenants_key_is_not_found",
        f"{_LINES}::test_line_44_another_tenants_things_are_not_there",
    ),
    45: (
        "component/tenant_config/test_row_security.py::test_without_a_tenant_no_row_is_seen",
        "component/ingest/test_replay_bad_rows.py::test_line_45_the_role_that_replays_sees_one_tenants_rows_or_none",
        "component/query/test_bad_rows.py::test_line_45_without_a_tenant_or_with_another_no_row_is_seen",
        "component/query/identity/test_link_decisions.py::test_line_45_without_a_tenant_or_with_another_no_decision_is_seen",
        "unit/query/test_statement_tenant.py::test_whatever_is_built_reads_the_tenants_events_only",
    ),
    53: (
        f"{_STORED}::test_a_client_clock_three_days_ahead_is_corrected",
        f"{_VALIDATE}::test_a_wrong_clock_is_corrected_before_age_is_judged",
        "unit/common/test_errors_health_identity.py::test_line_53_ids_and_identities_survive_a_clock_that_steps_back",
    ),
    55: (
        f"{_EDGE}::test_line_55_sigterm_answers_a_half_sent_body_and_then_ends",
        f"{_SOCKET}::test_line_55_a_drain_ends_sockets_with_1012_after_the_last_ack",
        "e2e/test_stack.py::test_a_gateway_that_is_told_to_end_acknowledges_first_and_closes_sockets_with_1012",
    ),
    56: (f"{_EDGE}::test_line_56_odd_paths_and_methods",),
    58: (f"{_EDGE}::test_line_58_x_forwarded_for_of_an_untrusted_peer_is_ignored",),
    60: (
        f"{_REFUSED}::test_a_row_that_only_postgresql_refuses_is_found_and_the_rest_is_stored",
        f"{_REFUSED}::test_line_60_a_validator_that_fails_costs_one_event_and_it_is_kept",
    ),
}
# 36 needs a machine to itself (the admission measurements); the others need features that come later.
LATER = frozenset({36, 42, 43, 46, 47, 48, 49, 50, 51, 52, 54, 57, 59})
_LAST_LINE = 60


@cache
def _tests_of(file: str) -> frozenset[str]:
    """The names of a file's test functions."""
    path = _TESTS / file
    if not path.exists():
        return frozenset()
    nodes = ast.walk(ast.parse(path.read_text()))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_line_is_covered_or_named_as_later() -> None:
    assert set(COVERED) | LATER == set(range(1, _LAST_LINE + 1))
    assert not set(COVERED) & LATER


@pytest.mark.parametrize("line", sorted(COVERED))
def test_the_tests_of_a_line_exist(line: int) -> None:
    assert COVERED[line]
    missing = [test for test in COVERED[line] if test.partition("::")[2] not in _tests_of(test.partition("::")[0])]
    assert missing == []
