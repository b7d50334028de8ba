"""The demo shop, for development: a page that uses the browser SDK as it was built last.

Files are a fixed set, read at every request: what is built anew is seen at once. Nothing in the path of a request
becomes part of a file's name.
"""

import asyncio
from pathlib import Path

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from obc_common.errors import NotFound, Unavailable

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_PAGE = "demo/index.html"
_SDK = "browser/dist/obc.js"
# The shop is one page with routes of its own; each may be the first that a visitor opens.
_PAGES = ("/demo", "/demo/product/{name:[a-z-]+}", "/demo/cart", "/demo/checkout", "/demo/thanks")
_FILES = {
    "/demo/shop.css": "demo/shop.css",
    "/demo/shop.js": "demo/shop.js",
    "/demo/sdk/obc.js": _SDK,
    **{f"/demo/sdk/{name}.js": f"browser/dist/{name}.js" for name in ("device", "fallback")},
    **{
        f"/demo/sdk/modules/{name}.js": f"browser/dist/modules/{name}.js"
        for name in ("autocapture", "web-vitals", "errors", "engagement")
    },
}
_NOT_BUILT = "The demo shop needs the browser SDK, which is not built: run `make sdk-build` (Node 20) and reload.\n"


class DemoShop:
    """Serves the shop.

    Args:
        folder: `sdk` of the repository, with the shop (`demo`) and the built SDK (`browser/dist`).
        key_file: has the write key that the shop sends with; may be written later. None = the shop has no key.
    """

    def __init__(self, folder: Path, key_file: Path | None) -> None:
        self._folder = folder
        self._key_file = key_file

    def routes(self) -> list[tuple[str, Handler]]:
        """Path and handler of everything under /demo."""
        files = [(path, self._file_handler(name)) for path, name in _FILES.items()]
        return [*((path, self._page) for path in _PAGES), *files, ("/demo/config.js", self._config)]

    async def _page(self, _: web.Request) -> web.StreamResponse:
        if not await asyncio.to_thread((self._folder / _SDK).is_file):
            return web.Response(status=503, text=_NOT_BUILT)
        return await self._answer(_PAGE)

    def _file_handler(self, name: str) -> Handler:
        async def handle(_: web.Request) -> web.StreamResponse:
            return await self._answer(name)

        return handle

    async def _answer(self, name: str) -> web.Response:
        path = self._folder / name
        try:
            body = await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            raise NotFound("DEMO_FILE_MISSING", f"{path.name} is not there: run `make sdk-build`.") from None
        return web.Response(body=body, content_type=_TYPES[path.suffix], charset="utf-8")

    async def _config(self, _: web.Request) -> web.Response:
        try:
            key = "" if self._key_file is None else await asyncio.to_thread(self._key_file.read_text)
        except FileNotFoundError:
            raise Unavailable("DEMO_KEY_MISSING", "The demo tenant has no key yet.", retry_after=1) from None
        settings = orjson.dumps({"write_key": key.strip()}).decode()
        return web.Response(text=f"globalThis.demo = {settings};\n", content_type=_TYPES[".js"])
