"""The standing dashboard: what it says, what it reads, and how its rows become an answer."""
