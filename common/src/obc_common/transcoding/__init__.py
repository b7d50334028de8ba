"""JSON as the REST API reads it -> messages: for the edge, and for who keeps a request as JSON and checks it."""
