"""The public REST API as a client sees it: JSON in, JSON out, one kind of error."""

from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

_TIMEOUT = aiohttp.ClientTimeout(total=60)


class ApiError(Exception):
    """The API answered with an error.

    Attributes:
        status: HTTP status.
        reason: machine-readable reason, e.g. `RATE_LIMITED`; empty when the body had none.
        retry_after: seconds to wait before the same call may succeed; None when the answer does not say.
    """

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None) -> None:
        super().__init__(f"HTTP {status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class Api:
    """Calls the gateway with one credential. An async context manager."""

    def __init__(self, url: str, credential: str, headers: Mapping[str, str] | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json", **(headers or {})}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Api":
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """GET. Raises ApiError."""
        return await self._call("GET", path, parameters=parameters)

    async def post(self, path: str, body: object) -> Any:
        """POST. Raises ApiError."""
        return await self._call("POST", path, body=body)

    async def patch(self, path: str, body: object) -> Any:
        """PATCH. Raises ApiError."""
        return await self._call("PATCH", path, body=body)

    async def delete(self, path: str) -> Any:
        """DELETE. Raises ApiError."""
        return await self._call("DELETE", path)

    async def _call(
        self, method: str, path: str, *, parameters: Mapping[str, str] | None = None, body: object = None
    ) -> Any:
        assert self._session is not None, "used outside its context"
        data = None if body is None else orjson.dumps(body)
        async with self._session.request(method, self._url + path, params=parameters, data=data) as response:
            content = await response.read()
            if response.status >= 400:
                raise _error(response, content)
            return orjson.loads(content)


def _error(response: aiohttp.ClientResponse, content: bytes) -> ApiError:
    try:
        error = orjson.loads(content)["error"]
        reason, message = str(error["reason"]), str(error["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        reason, message = "", content[:200].decode("utf-8", "replace")
    header = response.headers.get("Retry-After", "")
    return ApiError(response.status, reason, message, float(header) if header.isdigit() else None)
