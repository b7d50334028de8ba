"""Saved things as messages."""

import orjson

from obc.query.v1 import cohort_pb2, saved_pb2
from obc_query.cohorts.directory import definition_message
from obc_query.saved.model import SavedItem


def insight_message(item: SavedItem) -> saved_pb2.SavedInsight:
    """An insight."""
    return saved_pb2.SavedInsight(
        insight_id=str(item.id),
        name=item.name,
        description=item.description,
        kind=item.kind,
        request_json=item.definition,
        version=item.version,
        created_at_ms=item.created_at_ms,
        created_by=item.created_by,
        updated_at_ms=item.saved_at_ms,
        updated_by=item.saved_by,
        deleted_at_ms=item.deleted_at_ms,
        deleted_by=item.deleted_by,
    )


def dashboard_message(item: SavedItem) -> saved_pb2.SavedDashboard:
    """A dashboard."""
    definition = orjson.loads(item.definition)
    time_range = definition.get("time_range")
    return saved_pb2.SavedDashboard(
        dashboard_id=str(item.id),
        name=item.name,
        description=item.description,
        tiles=[saved_pb2.DashboardTile(**tile) for tile in definition["tiles"]],
        time_range=None if time_range is None else saved_pb2.DashboardTimeRange(**time_range),
        version=item.version,
        created_at_ms=item.created_at_ms,
        created_by=item.created_by,
        updated_at_ms=item.saved_at_ms,
        updated_by=item.saved_by,
        deleted_at_ms=item.deleted_at_ms,
        deleted_by=item.deleted_by,
    )


def cohort_message(item: SavedItem, *, listed: bool = False) -> cohort_pb2.Cohort:
    """A cohort; without its definition, which may be long, where it is one of many."""
    return cohort_pb2.Cohort(
        cohort_id=str(item.id),
        name=item.name,
        description=item.description,
        definition=None if listed else definition_message(item.definition),
        version=item.version,
        created_at_ms=item.created_at_ms,
        created_by=item.created_by,
        updated_at_ms=item.saved_at_ms,
        updated_by=item.saved_by,
        deleted_at_ms=item.deleted_at_ms,
        deleted_by=item.deleted_by,
    )
