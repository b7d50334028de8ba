"""WebSocket ingest: frames, credits, flood protection, and one gRPC stream per socket (contract 2.3)."""
