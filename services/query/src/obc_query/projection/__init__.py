"""The projector: events from PostgreSQL into the read model, exactly once."""
