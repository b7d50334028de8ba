"""Saved insights, dashboards and cohorts: kept in PostgreSQL, with every version."""
