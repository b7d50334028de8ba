"""The part of a tenant's rules that its SDKs may know."""

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.directory import TenantRules


def client_config(rules: TenantRules) -> pb.ClientConfig:
    """What a stream says first and again whenever the rules change."""
    return pb.ClientConfig(
        enabled=rules.enabled,
        tracking_level=rules.tracking_level,
        excluded_events=rules.excluded_events,
        sampling_rate=rules.sampling_rate,
        real_time_enabled=rules.real_time_enabled,
        version=rules.version,
    )
