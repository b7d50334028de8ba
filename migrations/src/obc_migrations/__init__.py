"""The PostgreSQL schema, as numbered SQL files."""
