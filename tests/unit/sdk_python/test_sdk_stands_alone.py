"""The SDK is installed without the suite: what it imports is what it says it depends on."""

import ast
import sys
import tomllib
from pathlib import Path

SDK = Path(__file__).resolve().parents[3] / "sdk/python"
IMPORT_OF = {"grpcio": "grpc", "protobuf": "google"}


def test_it_imports_nothing_but_its_dependencies() -> None:
    stated = tomllib.loads((SDK / "pyproject.toml").read_text())["project"]["dependencies"]
    allowed = {IMPORT_OF[one.partition(">")[0]] for one in stated} | {"obc_analytics"} | sys.stdlib_module_names
    imported = set()
    for path in (SDK / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    assert imported - allowed == set()
