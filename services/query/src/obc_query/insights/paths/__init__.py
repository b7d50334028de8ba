"""Paths: which ways are taken, step by step."""

from obc.query.v1 import paths_pb2
from obc_query.insights.insight import Insight
from obc_query.insights.paths.answer import answer
from obc_query.insights.paths.question import read

PATHS = Insight("QueryPaths", paths_pb2.QueryPathsResponse, read, answer)
