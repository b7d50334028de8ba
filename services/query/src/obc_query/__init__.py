"""Query: the read model and every question asked of it."""
