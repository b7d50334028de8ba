"""Ingest: events in, durable in PostgreSQL, exactly once."""
