"""The gateway's own pages: a landing page, the readable API reference, and what they are made of.

Every file is read once at start-up and served from memory; scripts and styles are files of their own, because the
Content-Security-Policy forbids inline ones.
"""

import hashlib
from importlib import resources

from aiohttp import web
from aiohttp.typedefs import Handler

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_PAGES = {"/": "index.html", "/docs": "docs.html"}


class StaticAnswer:
    """One file, with its ETag."""

    def __init__(self, body: bytes, content_type: str) -> None:
        self._body = body
        self._content_type = content_type
        self._etag = hashlib.sha256(body).hexdigest()[:32]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers with the file, or says that the client has it already."""
        known = request.if_none_match
        if known is not None and any(tag.value == self._etag for tag in known):
            response = web.Response(status=304)
        else:
            response = web.Response(body=self._body, content_type=self._content_type, charset="utf-8")
        response.etag = self._etag
        response.headers["Cache-Control"] = "no-cache"
        return response


def page_routes(openapi: bytes) -> list[tuple[str, Handler]]:
    """Path and handler of every page, asset and of the OpenAPI document."""
    folder = resources.files("obc_gateway") / "static"
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    answers = [
        (f"/assets/{name}", StaticAnswer(body, _TYPES[name.rpartition(".")[2]]))
        for name, body in sorted(files.items())
        if not name.endswith(".html")
    ]
    answers += [(path, StaticAnswer(files[name], _TYPES["html"])) for path, name in _PAGES.items()]
    answers.append(("/openapi.json", StaticAnswer(openapi, "application/json")))
    return [(path, answer.handle) for path, answer in answers]
