"""Retention: who comes back, by cohort and period."""

from obc.query.v1 import retention_pb2
from obc_query.insights.insight import Insight
from obc_query.insights.retention.answer import answer
from obc_query.insights.retention.question import read

RETENTION = Insight("QueryRetention", retention_pb2.QueryRetentionResponse, read, answer)
