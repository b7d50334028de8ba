"""The gateway's metrics. Labels are bounded: routes are templates, never paths; there is no tenant, key or address."""

from prometheus_client import Counter, Gauge, Histogram

HTTP_REQUESTS = Counter("obc_gateway_http_requests_total", "HTTP requests answered.", ["route", "method", "status"])
HTTP_SECONDS = Histogram(
    "obc_gateway_http_request_seconds",
    "Time from the request's headers to the end of its answer, streams excepted.",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
HTTP_IN_FLIGHT = Gauge("obc_gateway_http_requests_in_flight", "HTTP requests under way, streams included.")
CONNECTIONS = Gauge("obc_gateway_connections", "Open client connections.")
CONNECTIONS_REFUSED = Counter("obc_gateway_connections_refused_total", "Connections closed unanswered.", ["reason"])
SOCKETS = Gauge("obc_gateway_sockets", "Open WebSockets and event streams.", ["kind"])
SOCKET_FRAMES = Counter("obc_gateway_socket_frames_total", "Frames received on ingest WebSockets.", ["kind"])
SOCKET_CLOSES = Counter("obc_gateway_socket_closes_total", "WebSockets ended, by close code.", ["code"])
AUTH_FAILURES = Counter("obc_gateway_auth_failures_total", "Credentials refused.", ["reason"])
ERRORS = Counter("obc_gateway_errors_total", "Requests refused or failed, by machine reason.", ["reason"])
