"""From a credential to a principal, with a limit on guessing."""

from typing import Protocol

from obc_common.context import Principal, principal_var
from obc_common.errors import Unauthenticated
from obc_gateway import metrics
from obc_gateway.access.credentials import Credential, check_place, no_credential
from obc_gateway.access.failure_limiter import FailureLimiter
from obc_gateway.edge.client_address import limiter_network


class CredentialCheck(Protocol):
    """What `obc_common.authentication.CredentialAuthenticator` does for a bare credential."""

    async def principal_of(self, credential: str) -> Principal:
        """The principal. Raises Unauthenticated, or Unavailable when nobody can say."""
        ...


class Callers:
    """Identifies callers.

    Args:
        check: knows keys and tokens.
        failures: limits guessing.
    """

    def __init__(self, check: CredentialCheck, failures: FailureLimiter) -> None:
        self._check = check
        self._failures = failures

    async def identify(self, credential: Credential | None, client_ip: str) -> Principal:
        """The principal behind a credential; it is put into the context of this request (for logs).

        Raises:
            Unauthenticated: NO_CREDENTIAL or BAD_CREDENTIAL.
            ResourceExhausted: TOO_MANY_AUTH_FAILURES, in the place of Unauthenticated once the client has failed too
                often. A valid credential is never refused for what others behind the same address have sent.
            Unavailable: the credential is unknown here and TenantConfig is away.
        """
        if credential is None:
            raise no_credential()
        try:
            check_place(credential)
            principal = await self._check.principal_of(credential.text)
        except Unauthenticated as error:
            metrics.AUTH_FAILURES.labels(error.reason).inc()
            client = limiter_network(client_ip)
            self._failures.check(client)
            self._failures.failed(client)
            raise
        principal_var.set(principal)
        return principal
