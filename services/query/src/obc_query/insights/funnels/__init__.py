"""Funnels: who goes through steps."""

from obc.query.v1 import funnels_pb2
from obc_query.insights.funnels.answer import answer
from obc_query.insights.funnels.question import read
from obc_query.insights.insight import Insight

FUNNELS = Insight("QueryFunnels", funnels_pb2.QueryFunnelsResponse, read, answer)
