"""Real servers from wheels: PostgreSQL and Redis as child processes on loopback."""
