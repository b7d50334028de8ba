"""Worker: what must be done by the clock rather than by a request."""
