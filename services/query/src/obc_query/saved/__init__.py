"""Saved insights and saved dashboards: kept in PostgreSQL, with every version."""
