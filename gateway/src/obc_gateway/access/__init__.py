"""Who calls, and whether this caller may come from there."""
