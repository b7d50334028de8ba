"""Who calls."""

from typing import Protocol

from obc_common.context import Principal, principal_var, request_var
from obc_common.identity import IDENTITY_HEADER, request_info_from
from obc_common.interceptors.call import ServerCall


class Authenticator(Protocol):
    """Finds out who calls, from a call's metadata."""

    async def authenticate(self, metadata: dict[str, str | bytes]) -> Principal:
        """The caller. Raises Unauthenticated."""
        ...


async def authenticate(call: ServerCall, authenticator: Authenticator) -> None:
    """Puts the caller, and what the edge saw of the request, where domain code reads them."""
    principal_var.set(await authenticator.authenticate(call.metadata))
    if IDENTITY_HEADER in call.metadata:
        request_var.set(request_info_from(call.metadata))
