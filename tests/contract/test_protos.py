"""The wire contract: what is public is reachable over REST, and a breaking change does not pass unnoticed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2

_ROOT = Path(__file__).resolve().parents[2]
_BUF = Path(sys.executable).parent / "buf"
# For the suite's own processes, or client streams, which REST does not have.
_NOT_OVER_REST = {"IngestStream", "WatchConfigs", "ResolveKey", "ReportKeyUse"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The descriptors of the protos as they are now."""
    path = tmp_path_factory.mktemp("protos") / "image.binpb"
    command = [sys.executable, str(_ROOT / "protos" / "generate.py"), "--image", str(path)]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    return path


def _files(image: Path) -> descriptor_pb2.FileDescriptorSet:
    return descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())


def _http_rule(method: descriptor_pb2.MethodDescriptorProto) -> http_pb2.HttpRule | None:
    # protobuf's typing does not know the extensions of generated modules.
    extension: Any = annotations_pb2.http
    return method.options.Extensions[extension] if method.options.HasExtension(extension) else None


def _methods(image: Path) -> Iterator[descriptor_pb2.MethodDescriptorProto]:
    for file in _files(image).file:
        if file.package.startswith("obc."):
            for service in file.service:
                yield from service.method


def _breaking(image: Path) -> subprocess.CompletedProcess[str]:
    baseline = _ROOT / "protos" / "baseline.binpb"
    command = [str(_BUF), "breaking", str(image), "--against", str(baseline), "--path", "obc", "--config"]
    return subprocess.run([*command, str(_ROOT / "buf.yaml")], capture_output=True, text=True, timeout=60, cwd=_ROOT)


def test_every_public_rpc_has_a_rest_route_and_no_other_has_one(image: Path) -> None:
    routed = {method.name for method in _methods(image) if _http_rule(method)}
    public = {method.name for method in _methods(image)} - _NOT_OVER_REST

    assert routed == public


def test_no_two_rpcs_share_a_route(image: Path) -> None:
    routes = []
    for method in _methods(image):
        rule = _http_rule(method)
        for binding in (rule, *rule.additional_bindings) if rule else ():
            if verb := binding.WhichOneof("pattern"):
                routes.append((verb, getattr(binding, verb)))

    assert len(routes) == len(set(routes))


def test_the_protos_break_nothing_that_was_promised(image: Path) -> None:
    done = _breaking(image)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_field_that_was_taken_away_is_noticed(image: Path, tmp_path: Path) -> None:
    files = _files(image)
    [event] = [file for file in files.file if file.name == "obc/common/v1/event.proto"]
    del event.message_type[1].field[2]
    broken = tmp_path / "broken.binpb"
    broken.write_bytes(files.SerializeToString())

    done = _breaking(broken)

    assert done.returncode != 0
    assert "event_category" in done.stdout
