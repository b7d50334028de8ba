"""Pages of a list: sizes, and tokens tied to the call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from obc_common import page_tokens
from obc_common.errors import InvalidArgument

T = TypeVar("T")

DEFAULT_SIZE: Final = 100
MAX_SIZE: Final = 1000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list and the token of the next one; empty = end."""

    items: tuple[T, ...]
    next_token: str


class Pager:
    """Reads and makes the page tokens of one list.

    Args:
        secret: signs the tokens.
        binding: method and arguments that a token is good for.
        size: asked for; 0 = default, more than the most = the most.
        token: of the request; empty = first page.

    Raises:
        InvalidArgument: BAD_PAGE_SIZE or BAD_PAGE_TOKEN.
    """

    def __init__(self, secret: str, binding: str, size: int, token: str) -> None:
        if size < 0:
            raise InvalidArgument("BAD_PAGE_SIZE", "the page size must not be negative", field="page_size")
        self._secret = secret
        self._binding = binding
        self._size = min(size, MAX_SIZE) or DEFAULT_SIZE
        self.position: Any = page_tokens.decode(secret, binding, token)[0] if token else None
        """Sort key of the last item of the page before; None on the first page."""

    @property
    def limit(self) -> int:
        """Rows to read: one more than the page, to know whether there is a next one."""
        return self._size + 1

    def page(self, rows: Sequence[T], position_of: Callable[[T], Any]) -> Page[T]:
        """The page made of the rows that were read."""
        items = tuple(rows[: self._size])
        if len(rows) <= self._size:
            return Page(items, "")
        return Page(items, page_tokens.encode(self._secret, self._binding, [position_of(items[-1])]))
