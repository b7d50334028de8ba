"""Believable traffic of a small product, sent through the public API."""
