"""docs/api.md from the OpenAPI document that the gateway serves: every route, what it takes and what it answers."""

from pathlib import Path
from typing import Any

import orjson

from obc_gateway.openapi.document import build_document
from obc_gateway.rest.router import route_limits
from obc_gateway.settings import Settings
from obc_gateway.transcoding.routes import route_table

PATH = Path("docs/api.md")

_HEAD = """# API reference

Generated from the protos by `make docs`; do not edit. A running gateway serves the same at `/docs` and `/openapi.json`.

{introduction}

Failures answer `{{"error": {{"code", "status", "reason", "message", "details"}}}}`; `reason` is what programs read.
"""
_METHODS = ("get", "post", "put", "patch", "delete")


def render() -> str:
    """The whole page."""
    # Limits and deadlines are the defaults; the secret is needed to make settings and shows nowhere.
    settings = Settings.model_construct()
    document = orjson.loads(build_document(route_table(route_limits(settings))))
    parts = [_HEAD.format(introduction=document["info"]["description"])]
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                operation = operations[method]
                by_tag.setdefault(operation.get("tags", ["Other"])[0], []).append(_route(method, path, operation))
    for tag, routes in by_tag.items():
        parts += [f"## {tag}\n", *routes]
    parts.append("## Messages\n")
    parts += [_message(name, schema) for name, schema in document["components"]["schemas"].items()]
    return "\n".join(parts)


def _route(method: str, path: str, operation: dict[str, Any]) -> str:
    lines = [f"### `{method.upper()} {path}`", "", operation.get("description") or operation.get("summary", ""), ""]
    parameters = operation.get("parameters", [])
    if parameters:
        lines += ["| parameter | in | type | meaning |", "|---|---|---|---|"]
        for one in parameters:
            lines.append(_row(f"`{one['name']}`", one["in"], _type(one.get("schema", {})), one.get("description", "")))
        lines.append("")
    body = _content(operation.get("requestBody", {}))
    answer = _content(operation.get("responses", {}).get("200", {}))
    if body:
        lines += [f"Body: {body}", ""]
    if answer:
        lines += [f"Answer: {answer}", ""]
    return "\n".join(lines)


def _content(part: dict[str, Any]) -> str:
    """The first media type's schema; all of them are the same."""
    for media_type, content in part.get("content", {}).items():
        return f"{_type(content.get('schema', {}))} (`{media_type}`)"
    return ""


def _message(name: str, schema: dict[str, Any]) -> str:
    lines = [f"### {name}", ""]
    if schema.get("description"):
        lines += [schema["description"], ""]
    if schema.get("properties"):
        lines += ["| field | type | meaning |", "|---|---|---|"]
        for field, described in schema["properties"].items():
            lines.append(_row(f"`{field}`", _type(described), described.get("description", "")))
        lines.append("")
    return "\n".join(lines)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "allOf" in schema:
        return _type(schema["allOf"][0])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
