"""The REST routes: the ingest hot path, and everything else by the route table."""
