"""`POST /v1/events:batch`, gzipped, on a kept connection, with the standard library alone."""

import gzip
import http.client
import json
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from obc_analytics.errors import BrokenAnswer, CredentialRefused, DeliveryProblem, ServerBusy, Unreachable
from obc_analytics.event import Event
from obc_analytics.results import EventResult
from obc_analytics.senders import NotStored
from obc_analytics.version import VERSION
from obc_analytics.wire import results_of_json, to_json

_PATH = "/v1/events:batch"
_MAX_ANSWER = 16 * 1024 * 1024
_TOO_LARGE = 413
# Never evaluated as it is, when the gateway says so in the suite's error body; a proxy's 400 may be gone tomorrow.
_PERMANENT = (400, 415)
_REFUSED = (401, 403)
_BUSY = (408, 429, 503)


class RestSender:
    """Sends batches to a gateway. Used by one thread at a time.

    Args:
        url: where the gateway is, e.g. `https://analytics.example`; a path in it is a prefix.
        key: a write key or a secret key with scope `ingest`.
        connect_timeout: seconds for the connection.
        timeout: seconds for each wait on the connection after that.
        root_certificates: PEM of the authority to trust with https; None = the system's.
    """

    def __init__(
        self, url: str, key: str, *, connect_timeout: float, timeout: float, root_certificates: bytes | None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or parts.query:
            raise ValueError(f"rest_url must be http(s)://host[:port][/prefix], not {url!r}")
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/") + _PATH
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "User-Agent": f"obc-analytics-python/{VERSION}",
            "X-OBC-SDK": f"python/{VERSION}",
        }
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context(cadata=root_certificates.decode() if root_certificates else None)
        self._connection: http.client.HTTPConnection | None = None

    def send(self, events: Sequence[Event], batch_id: str, sent_at_ms: int) -> list[EventResult]:
        """One result for each event, in order. Raises NotStored."""
        body = gzip.compress(to_json(events, batch_id, sent_at_ms), compresslevel=5)
        try:
            status, retry_after, answer = self._post(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # Whether the server stored the batch is unknown; the same ids make asking again harmless.
            raise NotStored(Unreachable("", f"{type(error).__name__}: {error}")) from error
        if status == 200:
            try:
                return results_of_json(events, answer)
            except BrokenAnswer as problem:
                raise NotStored(problem) from problem
        reason, message = _error_of(answer)
        raise NotStored(
            _problem(status, f"{reason} {message}".strip()),
            retry_after=retry_after,
            permanent=status == _TOO_LARGE or (status in _PERMANENT and bool(reason)),
            reason="BODY_TOO_LARGE" if status == _TOO_LARGE and not reason else reason,
        )

    def close(self) -> None:
        """Closes the connection; the next `send` opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _post(self, body: bytes) -> tuple[int, float, bytes]:
        """Status, seconds to wait, body."""
        if self._connection is None:
            self._connection = self._open()
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        answer = response.read(_MAX_ANSWER)
        if response.will_close or not response.isclosed():
            self.close()
        return response.status, _seconds(response.getheader("Retry-After")), answer

    def _open(self) -> http.client.HTTPConnection:
        connection = (
            http.client.HTTPSConnection(self._host, self._port, timeout=self._connect_timeout, context=self._tls)
            if self._tls
            else http.client.HTTPConnection(self._host, self._port, timeout=self._connect_timeout)
        )
        connection.connect()
        connection.sock.settimeout(self._timeout)
        return connection


def _problem(status: int, message: str) -> DeliveryProblem:
    if status in _REFUSED:
        return CredentialRefused(str(status), message)
    if status in _BUSY:
        return ServerBusy(str(status), message)
    return BrokenAnswer(str(status), message)


def _error_of(answer: bytes) -> tuple[str, str]:
    """Reason and message of the suite's error body; another's body (a proxy's) has neither."""
    try:
        error = json.loads(answer)["error"]
        return str(error["reason"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        return "", ""


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0  # a date: the backoff is as good
