"""The public API, as this command needs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10)


@dataclass(frozen=True, slots=True)
class Target:
    """Where, and with which key."""

    url: str
    key: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.key}"}


class ApiFailure(Exception):
    """The API refused, or could not be reached.

    Attributes:
        temporary: True when the same request may succeed later.
        retry_after: seconds to wait, when the API said so.
    """

    def __init__(self, text: str, *, temporary: bool = False, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.temporary = temporary
        self.retry_after = retry_after


async def call(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    parameters: Mapping[str, str] | None = None,
    body: object = None,
) -> Any:
    """One request with a JSON answer. Raises ApiFailure."""
    data = None if body is None else orjson.dumps(body)
    headers = {"Content-Type": "application/json"} if data else None
    try:
        async with session.request(
            method, url, params=parameters, data=data, headers=headers, timeout=_TIMEOUT
        ) as answer:
            content = await answer.read()
            if answer.status >= 400:
                raise failure_of(answer.status, content, answer.headers.get("Retry-After", ""))
            return orjson.loads(content)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise unreachable(error) from error


def failure_of(status: int, content: bytes, retry_after: str = "") -> ApiFailure:
    """What an error answer says."""
    try:
        error = orjson.loads(content)["error"]
        text = f"{error['reason']}: {error['message']}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        text = content[:200].decode("utf-8", "replace")
    return ApiFailure(
        f"HTTP {status} {text}",
        temporary=status in (408, 429, 499) or status >= 500,
        retry_after=float(retry_after) if retry_after.isdigit() else None,
    )


def unreachable(error: BaseException) -> ApiFailure:
    """The connection broke."""
    return ApiFailure(f"{type(error).__name__}: {error}", temporary=True)
