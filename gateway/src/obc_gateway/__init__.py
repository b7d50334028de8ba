"""The edge: REST and WebSocket to gRPC."""
