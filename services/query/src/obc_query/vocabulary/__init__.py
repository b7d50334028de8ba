"""The vocabulary of a tenant's events: names of events and of fields, for who builds a question."""

from obc.query.v1 import schema_pb2
from obc_query.insights.insight import Insight
from obc_query.vocabulary import event_names, property_names

EVENT_NAMES = Insight("ListEventNames", schema_pb2.ListEventNamesResponse, event_names.read, event_names.answer)
PROPERTY_NAMES = Insight(
    "ListPropertyNames", schema_pb2.ListPropertyNamesResponse, property_names.read, property_names.answer
)
