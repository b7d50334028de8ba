"""Trends: events over time, measured, split, compared and computed with."""

from obc.query.v1 import trends_pb2
from obc_query.insights.insight import Insight
from obc_query.insights.trends.answer import answer
from obc_query.insights.trends.question import read

TRENDS = Insight("QueryTrends", trends_pb2.QueryTrendsResponse, read, answer)
