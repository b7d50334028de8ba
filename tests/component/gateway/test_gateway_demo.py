"""The demo shop of a real gateway: off unless asked for, a fixed set of files, nothing inline, never cached."""

import re
import shutil
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.component.gateway.conftest import Edge, StartEdge

_SHOP = Path(__file__).resolve().parents[3] / "sdk" / "demo"
_ROUTES = ("/demo", "/demo/product/earl-grey", "/demo/cart", "/demo/checkout", "/demo/thanks")


@pytest.fixture
def sdk(tmp_path: Path) -> Path:
    """A folder like `sdk` of the repository: the real shop, a built SDK with one of its modules, and a secret."""
    folder = tmp_path / "sdk"
    shutil.copytree(_SHOP, folder / "demo")
    modules = folder / "browser" / "dist" / "modules"
    modules.mkdir(parents=True)
    dist = modules.parent
    for file in (modules / "errors.js", dist / "obc.js", dist / "secret.js", tmp_path / "secret.js"):
        file.write_text(f"// {file.name}")
    return folder


@pytest.fixture
async def edge(start_edge: StartEdge, sdk: Path, tmp_path: Path) -> Edge:
    """A gateway with the shop."""
    return await start_edge(demo_folder=sdk, demo_key_file=tmp_path / "key")


async def test_there_is_no_shop_unless_it_is_asked_for(start_edge: StartEdge) -> None:
    plain = await start_edge()
    for path in (*_ROUTES, "/demo/shop.js", "/demo/config.js"):
        async with plain.http.get(path) as answer:
            assert answer.status == 404


@pytest.mark.parametrize("route", _ROUTES)
async def test_every_route_is_the_page_and_the_page_has_nothing_inline(edge: Edge, route: str) -> None:
    async with edge.http.get(route) as answer:
        html = await answer.text()
    assert (answer.status, answer.content_type, answer.charset) == (200, "text/html", "utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|https?://", html)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/demo/shop.js", "text/javascript"),
        ("/demo/shop.css", "text/css"),
        ("/demo/sdk/obc.js", "text/javascript"),
        ("/demo/sdk/modules/errors.js", "text/javascript"),
    ],
)
async def test_files_have_their_type_and_are_not_cached(edge: Edge, path: str, content_type: str) -> None:
    async with edge.http.get(path) as answer:
        assert (answer.status, answer.content_type) == (200, content_type)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers


async def test_a_file_that_is_built_anew_is_served_anew(edge: Edge, sdk: Path) -> None:
    (sdk / "browser/dist/obc.js").write_text("// new")
    async with edge.http.get("/demo/sdk/obc.js") as answer:
        assert await answer.text() == "// new"


async def test_a_module_that_was_not_built_is_not_found(edge: Edge) -> None:
    async with edge.http.get("/demo/sdk/modules/autocapture.js") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["reason"] == "DEMO_FILE_MISSING"


@pytest.mark.parametrize(
    "path",
    [
        "/demo/sdk/secret.js",
        "/demo/sdk/modules/../secret.js",
        "/demo/sdk/modules/..%2f..%2fsecret.js",
        "/demo/sdk/%2e%2e/%2e%2e/%2e%2e/secret.js",
        "/demo/..%2f..%2fsecret.js",
        "/demo/product/..%2fsecret.js",
        "/demo/sdk/",
        "/demo/index.html",
    ],
)
async def test_nothing_else_is_served(edge: Edge, path: str) -> None:
    async with edge.http.get(URL(path, encoded=True)) as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["reason"] == "NO_ROUTE"


async def test_without_a_built_sdk_the_shop_says_what_to_run(edge: Edge, sdk: Path) -> None:
    shutil.rmtree(sdk / "browser")
    async with edge.http.get("/demo") as answer:
        assert (answer.status, answer.content_type) == (503, "text/plain")
        assert "run `make sdk-build`" in await answer.text()


async def test_the_key_is_the_one_of_the_running_stack(edge: Edge, tmp_path: Path) -> None:
    assert await _config(edge.http) == (503, None)  # the stack has none yet
    for key in ("wk_live_one", 'wk_"</script>'):
        (tmp_path / "key").write_text(key)
        status, text = await _config(edge.http)
        assert (status, text) == (200, f"globalThis.demo = {_json(key)};\n")


async def test_a_shop_without_a_key_file_has_no_key(start_edge: StartEdge, sdk: Path) -> None:
    edge = await start_edge(demo_folder=sdk, demo_key_file="")
    assert await _config(edge.http) == (200, 'globalThis.demo = {"write_key":""};\n')


async def _config(http: aiohttp.ClientSession) -> tuple[int, str | None]:
    async with http.get("/demo/config.js") as answer:
        if answer.status != 200:
            return answer.status, None
        assert answer.content_type == "text/javascript"
        return answer.status, await answer.text()


def _json(key: str) -> str:
    escaped = key.replace('"', '\\"')
    return f'{{"write_key":"{escaped}"}}'
