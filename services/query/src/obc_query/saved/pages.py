"""Pages of saved things: sizes, and tokens tied to tenant and arguments."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID

import orjson

from obc_common import page_tokens
from obc_common.errors import InvalidArgument
from obc_query.insights.reading import read_choice
from obc_query.saved.model import SavedItem, name_key
from obc_query.saved.store import PageQuestion

_STATES = ("living", "deleted")
_ORDERS = ("name", "newest")
_DEFAULT_SIZE = 50
# A definition that is listed has up to 64 KiB: a page of the largest ones is well under what one gRPC message may hold.
_MAX_SIZE = 100
_Item = TypeVar("_Item")


class Versioned(Protocol):
    """What keeps items with their versions."""

    async def list_versions(
        self, tenant_id: str, item_id: str, before: int | None, limit: int
    ) -> Sequence[SavedItem]: ...


class Pager:
    """Reads and makes the page tokens of one list.

    Args:
        secret: signs the tokens.
        binding: method, tenant and arguments that a token is good for.
        size: asked for; 0 = default, too large = the largest.
        token: of the request; empty = first page.

    Raises:
        InvalidArgument: BAD_PAGE_SIZE or BAD_PAGE_TOKEN.
    """

    def __init__(self, secret: str, binding: Sequence[str], size: int, token: str) -> None:
        if size < 0:
            raise InvalidArgument("BAD_PAGE_SIZE", "the page size must not be negative", field="page_size")
        self._secret = secret
        self._binding = orjson.dumps(binding).decode()
        self._size = min(size or _DEFAULT_SIZE, _MAX_SIZE)
        self.position: list[Any] | None = page_tokens.decode(secret, self._binding, token) if token else None
        """Of the last item of the page before; None on the first page."""

    @property
    def limit(self) -> int:
        """Rows to read: one more than the page, to know whether there is a next one."""
        return self._size + 1

    def page(self, items: Sequence[_Item], position_of: Callable[[_Item], list[Any]]) -> tuple[Sequence[_Item], str]:
        """The page made of the rows that were read, and the token of the next one."""
        page = items[: self._size]
        if len(items) <= self._size:
            return page, ""
        return page, page_tokens.encode(self._secret, self._binding, position_of(page[-1]))


class ListPager:
    """The same for a list of insights, dashboards or cohorts.

    Raises:
        InvalidArgument: UNKNOWN_CHOICE, BAD_PAGE_SIZE or BAD_PAGE_TOKEN.
    """

    def __init__(
        self,
        secret: str,
        method: Literal["ListSavedInsights", "ListSavedDashboards", "ListCohorts"],
        tenant_id: str,
        *,
        state: str,
        order: str,
        kind: str,
        size: int,
        token: str,
    ) -> None:
        state = read_choice(state, _STATES, "state")
        order = read_choice(order, _ORDERS, "order")
        self._newest_first = order == "newest"
        self._pager = Pager(secret, [method, tenant_id, state, order, kind], size, token)
        position = self._pager.position
        after = None if position is None else (position[0], UUID(position[1]))
        self.question = PageQuestion(state == "deleted", kind, self._newest_first, after, self._pager.limit)

    def page(self, items: Sequence[SavedItem]) -> tuple[Sequence[SavedItem], str]:
        """The page made of the rows that were read, and the token of the next one."""
        return self._pager.page(items, self._position)

    def _position(self, item: SavedItem) -> list[Any]:
        return [item.saved_at_ms if self._newest_first else name_key(item.name), str(item.id)]


async def versions_page(
    shelf: Versioned, method: str, tenant_id: str, item_id: str, *, secret: str, size: int, token: str
) -> tuple[Sequence[SavedItem], str]:
    """A page of an item's versions, newest first, and the token of the next one.

    Raises:
        InvalidArgument: BAD_PAGE_SIZE or BAD_PAGE_TOKEN; and what the shelf raises.
    """
    pager = Pager(secret, [method, tenant_id, item_id], size, token)
    before = None if pager.position is None else int(pager.position[0])
    found = await shelf.list_versions(tenant_id, item_id, before, pager.limit)
    return pager.page(found, lambda item: [item.version])
