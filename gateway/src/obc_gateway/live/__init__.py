"""The live feed, as server-sent events and on a WebSocket."""
