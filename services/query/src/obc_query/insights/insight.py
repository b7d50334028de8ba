"""What every insight is made of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from obc_query.asker import Asker
from obc_query.cached_answers import Response
from obc_query.ranges import TimeRange


class Question(Protocol):
    """A checked request."""

    @property
    def span(self) -> TimeRange:
        """The range asked for, `now` resolved."""
        ...

    @property
    def settled_ms(self) -> int:
        """From this moment on the answer changes with new events only, no more with time."""
        ...


_Request = TypeVar("_Request", bound=Message)
_Question = TypeVar("_Question", bound=Question)
_Response = TypeVar("_Response", bound=Response)


@dataclass(frozen=True, slots=True)
class Insight(Generic[_Request, _Question, _Response]):
    """One kind of question, from its message to the message of its answer.

    Attributes:
        name: of its RPC.
        response_type: message of the answer.
        read: checks a request; takes the time now in unix milliseconds; raises InvalidArgument.
        answer: asks the engine on behalf of a tenant; takes the time now; sets `info.sampled`.
    """

    name: str
    response_type: type[_Response]
    read: Callable[[_Request, int], _Question]
    answer: Callable[[Asker, str, _Question, int], Awaitable[_Response]]


AnyInsight = Insight[Any, Any, Any]
