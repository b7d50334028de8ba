"""The walls of the house: who may import whom."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Every package of ours, where it lies, and which of ours it may import. `obc` is generated. obc_dev reads everybody's
# settings for the documentation; nothing may import obc_dev.
PACKAGES = {
    "obc_common": ("common/src", frozenset({"obc"})),
    "obc_migrations": ("migrations/src", frozenset[str]()),
    "obc_ingest": ("services/ingest/src", frozenset({"obc", "obc_common"})),
    "obc_query": ("services/query/src", frozenset({"obc", "obc_common"})),
    "obc_tenant_config": ("services/tenant-config/src", frozenset({"obc", "obc_common"})),
    "obc_worker": ("services/worker/src", frozenset({"obc", "obc_common"})),
    "obc_gateway": ("gateway/src", frozenset({"obc", "obc_common"})),
    "obc_analytics": ("sdk/python/src", frozenset[str]()),  # customers install it without the server
    "obc_cli": ("cli/src", frozenset[str]()),
    "obc_dev": (
        "dev/src",
        frozenset({"obc_common", "obc_migrations", "obc_ingest", "obc_query", "obc_tenant_config", "obc_worker"})
        | {"obc_gateway"},
    ),
}
OURS = frozenset(PACKAGES) | {"obc"}


def imported_roots(source: str) -> Iterator[tuple[int, str]]:
    """Line and first word of every absolute import of a module, also those inside functions and `if TYPE_CHECKING`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and (name := _imported_by_call(node)):
            yield node.lineno, name.partition(".")[0]


def _imported_by_call(call: ast.Call) -> str:
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    argument = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
    return argument if function in ("import_module", "__import__") and isinstance(argument, str) else ""


def violations(package: str, folder: Path) -> list[str]:
    """Every import of `package`, whose modules lie in `folder`, that breaks through a wall."""
    allowed = PACKAGES[package][1] | {package}
    return [
        f"{path.name}:{line} imports {root}"
        for path in sorted(folder.rglob("*.py"))
        for line, root in imported_roots(path.read_text())
        if root in OURS and root not in allowed
    ]


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_a_package_imports_only_what_its_walls_allow(package: str) -> None:
    folder = ROOT / PACKAGES[package][0] / package

    assert folder.is_dir()
    assert violations(package, folder) == []


def test_every_package_of_the_house_is_under_the_rule() -> None:
    found = {path.parent.name for path in ROOT.glob("**/src/*/__init__.py") if ".venv" not in path.parts}

    assert found == set(PACKAGES)


@pytest.mark.parametrize(
    "planted",
    [
        "import obc_query",
        "from obc_query.filters import Filter",
        "def late():\n    import obc_query.metrics",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from obc_query import fields",
        "import importlib\nimportlib.import_module('obc_query.app')",
    ],
)
def test_a_planted_import_of_another_service_is_caught(tmp_path: Path, planted: str) -> None:
    (tmp_path / "module.py").write_text(f"import orjson\nfrom obc.common.v1 import event_pb2\n{planted}\n")

    assert len(violations("obc_ingest", tmp_path)) == 1
    assert violations("obc_query", tmp_path) == []
