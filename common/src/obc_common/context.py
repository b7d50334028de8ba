"""Who calls, and which call this is: set by the server's interceptors, read by domain code and by the logs.

Context variables set while a call is intercepted are seen by that call only, unary and streaming alike.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from obc_common.errors import PermissionDenied, Unauthenticated

CredentialKind = Literal["write", "secret", "operator", "jwt", "service"]
Transport = Literal["rest", "ws", "grpc"]

TENANT_SCOPES = frozenset({"ingest", "query", "config", "export", "admin"})
INTERNAL_SCOPE = "internal"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    Attributes:
        tenant_id: the one tenant it may touch; empty for operators and for the suite's own processes.
        subject: who, for the audit log: a key id, a token's subject, or a process name.
        kind: kind of credential.
        scopes: rights.
        key_id: the key used, empty for tokens; the bucket of its rate limit.
        allowed_origins: origins that may use it from a browser; empty = any.
        expires_at_ms: end of its validity, unix milliseconds; 0 = none.
    """

    tenant_id: str
    subject: str
    kind: CredentialKind
    scopes: frozenset[str]
    key_id: str = ""
    allowed_origins: tuple[str, ...] = ()
    expires_at_ms: int = 0

    @property
    def is_operator(self) -> bool:
        """True when it may manage every tenant."""
        return self.kind == "operator"

    def has_scope(self, scope: str) -> bool:
        """Operators have every tenant scope; `admin` implies the other tenant scopes; `internal` is never implied."""
        if scope in self.scopes:
            return True
        return scope in TENANT_SCOPES and (self.is_operator or "admin" in self.scopes)

    def require_scope(self, scope: str) -> None:
        """Raises PermissionDenied(SCOPE_MISSING) unless the scope is there."""
        if not self.has_scope(scope):
            raise PermissionDenied(
                "SCOPE_MISSING", f"this credential lacks the scope '{scope}'", metadata={"scope": scope}
            )

    def require_tenant(self) -> str:
        """The caller's tenant. Raises PermissionDenied(TENANT_REQUIRED) for callers that belong to none."""
        if not self.tenant_id:
            raise PermissionDenied("TENANT_REQUIRED", "this call needs a credential that belongs to a tenant")
        return self.tenant_id


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What the edge saw of the request.

    The address is for the keyed hash and the limiter only: never stored, never logged.
    """

    client_ip: str = ""
    user_agent: str = ""
    sdk: str = ""
    transport: Transport = "grpc"
    gpc: bool = False


principal_var: ContextVar[Principal | None] = ContextVar("principal", default=None)
correlation_id_var: ContextVar[str] = ContextVar("correlation_id", default="")
request_var: ContextVar[RequestInfo] = ContextVar("request", default=RequestInfo())  # noqa: B039  # frozen


def current_principal() -> Principal:
    """The authenticated caller of this call. Raises Unauthenticated outside of one."""
    principal = principal_var.get()
    if principal is None:
        raise Unauthenticated("NO_CREDENTIAL", "a credential is needed")
    return principal


def current_correlation_id() -> str:
    """The correlation id of this call, empty outside of one."""
    return correlation_id_var.get()


def current_request() -> RequestInfo:
    """What the edge saw of the request behind this call."""
    return request_var.get()
