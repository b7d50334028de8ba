"""Stickiness: in how many intervals users are active."""

from obc.query.v1 import activity_pb2
from obc_query.insights.insight import Insight
from obc_query.insights.stickiness.answer import answer
from obc_query.insights.stickiness.question import read

STICKINESS = Insight("QueryStickiness", activity_pb2.QueryStickinessResponse, read, answer)
