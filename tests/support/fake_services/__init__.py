"""In-process gRPC servers that stand for the three services, for tests of the gateway.

Real servers, real identities, real errors; only what a service would do is scripted. A call that the test did not
expect fails it at the end, as does one without a valid identity.
"""
