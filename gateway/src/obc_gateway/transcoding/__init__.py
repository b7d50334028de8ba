"""REST <-> gRPC, driven by the `google.api.http` options of the protos."""
