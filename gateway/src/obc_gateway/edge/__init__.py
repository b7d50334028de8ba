"""The HTTP edge: connections, headers in and out, errors, CORS."""
