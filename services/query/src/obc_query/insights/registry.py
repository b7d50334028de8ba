"""Every insight there is, by its name in the API: the last part of its path."""

from collections.abc import Mapping

from google.protobuf import message_factory
from google.protobuf.message import Message

from obc.query.v1 import query_service_pb2
from obc_query.insights.funnels import FUNNELS
from obc_query.insights.insight import AnyInsight
from obc_query.insights.lifecycle import LIFECYCLE
from obc_query.insights.paths import PATHS
from obc_query.insights.retention import RETENTION
from obc_query.insights.sessions import SESSIONS
from obc_query.insights.stickiness import STICKINESS
from obc_query.insights.trends import TRENDS

INSIGHTS: Mapping[str, AnyInsight] = {
    "funnels": FUNNELS,
    "lifecycle": LIFECYCLE,
    "paths": PATHS,
    "retention": RETENTION,
    "sessions": SESSIONS,
    "stickiness": STICKINESS,
    "trends": TRENDS,
}

_METHODS = query_service_pb2.DESCRIPTOR.services_by_name["QueryService"].methods_by_name


def request_type(insight: AnyInsight) -> type[Message]:
    """The message of its requests."""
    return message_factory.GetMessageClass(_METHODS[insight.name].input_type)
