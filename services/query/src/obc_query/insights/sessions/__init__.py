"""The report on sessions: how many, how long, where they begin and end."""

from obc.query.v1 import activity_pb2
from obc_query.insights.insight import Insight
from obc_query.insights.sessions.answer import answer
from obc_query.insights.sessions.question import read

SESSIONS = Insight("QuerySessions", activity_pb2.QuerySessionsResponse, read, answer)
