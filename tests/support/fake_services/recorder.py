"""What the fakes were asked, and what they answer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from obc_common.context import Principal, RequestInfo, current_principal, current_request
from obc_common.errors import Unimplemented

SECRET = "a secret of the tests, long enough"
TENANT_A = "0190a000-0000-7000-8000-00000000000a"
TENANT_B = "0190b000-0000-7000-8000-00000000000b"


@dataclass(frozen=True)
class Call:
    """One call as a fake saw it."""

    method: str
    request: Any
    principal: Principal
    info: RequestInfo


Script = Callable[[Any], Message]


@dataclass
class Recorder:
    """What was called, and what the unary methods are to answer."""

    calls: list[Call] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)

    def record(self, method: str, request: Any) -> None:
        self.calls.append(Call(method, request, current_principal(), current_request()))

    @property
    def last(self) -> Call:
        return self.calls[-1]

    def answer(self, method: str, request: Any) -> Message:
        self.record(method, request)
        script = self.scripts.get(method)
        if script is None:
            self.unexpected.append(method)
            raise Unimplemented("NOT_SCRIPTED", method)
        return script(request)


def scripted(base: type, recorder: Recorder, names: list[str]) -> Any:
    """An instance of a servicer class whose named unary methods answer by script."""

    def method(name: str) -> Callable[..., Any]:
        async def behaviour(_self: object, request: Any, _context: object) -> Message:
            return recorder.answer(name, request)

        return behaviour

    return type(f"Fake{base.__name__}", (base,), {name: method(name) for name in names})()
