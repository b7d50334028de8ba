"""Lifecycle: users who are new, stay, come back and leave."""

from obc.query.v1 import activity_pb2
from obc_query.insights.insight import Insight
from obc_query.insights.lifecycle.answer import answer
from obc_query.insights.lifecycle.question import read

LIFECYCLE = Insight("QueryLifecycle", activity_pb2.QueryLifecycleResponse, read, answer)
