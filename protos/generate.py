"""Generates the Python stubs and the comments of `protos/obc` into `protos/gen`; makes the descriptor image for buf.

Usage: `python protos/generate.py [--out DIR]`. The output folder is replaced: a removed proto leaves no stub.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc_tools  # type: ignore[import-untyped]  # it ships no types
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
GRPC_INCLUDE = Path(grpc_tools.__file__).parent / "_proto"
GOOGLEAPIS_INCLUDE = Path(annotations_pb2.__file__).parents[2]


# The mypy plugins of protoc sit beside the interpreter; without an activated environment they are not on PATH.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def _run(*arguments: str) -> None:
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "obc").rglob("*.proto"))
    includes = [f"-I{ROOT}", f"-I{GRPC_INCLUDE}", f"-I{GOOGLEAPIS_INCLUDE}"]
    if protoc.main(["protoc", *includes, *arguments, *sources]) != 0:
        sys.exit(1)


def generate(out: Path) -> None:
    """Replaces `out` by freshly generated stubs (`_pb2.py`, `_pb2_grpc.py` and their types)."""
    with tempfile.TemporaryDirectory() as scratch:
        _run(
            f"--python_out={scratch}",
            f"--grpc_python_out={scratch}",
            f"--mypy_out=quiet:{scratch}",
            f"--mypy_grpc_out=quiet:{scratch}",
        )
        for stub in Path(scratch).rglob("*_pb2_grpc.py*"):
            if not stub.name.split("_pb2")[0].endswith("_service"):
                stub.unlink()  # protoc writes an empty service module for every file of plain messages
        for package in {path.parent for path in Path(scratch).rglob("*_pb2.py")}:
            (package / "py.typed").touch()
        _write_comments(Path(scratch) / "obc" / "comments.json")
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(scratch, out)


def _write_comments(path: Path) -> None:
    """Writes the comments of services, methods, messages, fields and enums by full name.

    Generated code carries no comments; the gateway's OpenAPI document needs them at run time.
    """
    with tempfile.TemporaryDirectory() as scratch:
        binary = Path(scratch) / "image.binpb"
        image(binary)
        files = descriptor_pb2.FileDescriptorSet.FromString(binary.read_bytes()).file
    comments = {
        name: " ".join(location.leading_comments.split())
        for file in files
        if file.package.startswith("obc.")
        for location in file.source_code_info.location
        if location.leading_comments and (name := _name_at(file, location.path))
    }
    path.write_text(json.dumps(comments, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _name_at(file: descriptor_pb2.FileDescriptorProto, path: Sequence[int]) -> str:
    """The full name of the element at a source location's path; empty for what has no name of its own."""
    if len(path) % 2:
        return ""
    element: Any = file
    names = [file.package]
    for number, index in zip(path[::2], path[1::2], strict=False):
        field = element.DESCRIPTOR.fields_by_number[number]
        if field.name not in {"message_type", "nested_type", "enum_type", "field", "value", "service", "method"}:
            return ""
        element = getattr(element, field.name)[index]
        names.append(element.name)
    return ".".join(names) if len(names) > 1 else ""


def image(path: Path) -> None:
    """Writes the FileDescriptorSet with comments, the input of `buf lint` and `buf breaking`."""
    _run(f"--descriptor_set_out={path}", "--include_imports", "--include_source_info")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "gen")
    parser.add_argument("--image", type=Path, help="write only the descriptor image to this path")
    options = parser.parse_args()
    if options.image:
        image(options.image)
    else:
        generate(options.out)
