"""The OpenAPI 3.1 document, made from the same descriptors as the routes."""
