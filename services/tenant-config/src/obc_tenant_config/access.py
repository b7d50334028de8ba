"""Who may do what: an operator reaches every tenant, a tenant's credential its own, our processes the stream."""

from __future__ import annotations

import uuid

from obc_common.context import INTERNAL_SCOPE, Principal
from obc_common.errors import InvalidArgument, NotFound, PermissionDenied
from obc_tenant_config.model import Actor, Reach


def reach_tenant(principal: Principal, tenant_id: str, scope: str, correlation_id: str) -> Reach:
    """What a call about a tenant may touch.

    Args:
        principal: who calls.
        tenant_id: the tenant of the request; empty = the credential's own (for an operator: the operators').
        scope: right that a tenant's credential needs.
        correlation_id: of the request.

    Raises:
        PermissionDenied: SCOPE_MISSING.
        NotFound: TENANT_NOT_FOUND: it is another's, which a tenant cannot tell from one that does not exist.
        InvalidArgument: BAD_TENANT_ID, an operator's mistake.
    """
    actor = actor_of(principal, correlation_id)
    if principal.is_operator:
        return Reach(canonical_tenant_id(tenant_id) if tenant_id else "", confined=False, actor=actor)
    principal.require_scope(scope)
    own = principal.require_tenant()
    if tenant_id and tenant_id.lower() != own:
        raise tenant_not_found()
    return Reach(own, confined=True, actor=actor)


def reach_named_tenant(principal: Principal, tenant_id: str, scope: str, correlation_id: str) -> Reach:
    """Like `reach_tenant`, for calls that are about a tenant always: an operator must name it.

    Raises:
        InvalidArgument: TENANT_ID_REQUIRED.
    """
    reach = reach_tenant(principal, tenant_id, scope, correlation_id)
    if not reach.tenant_id:
        raise InvalidArgument("TENANT_ID_REQUIRED", "an operator must name the tenant", field="tenant_id")
    return reach


def reach_everything(principal: Principal, correlation_id: str) -> Reach:
    """What an operator's own calls may touch. Raises PermissionDenied(OPERATOR_ONLY)."""
    if not principal.is_operator:
        raise PermissionDenied("OPERATOR_ONLY", "only an operator may do this")
    return Reach("", confined=False, actor=actor_of(principal, correlation_id))


def require_internal(principal: Principal) -> None:
    """Raises PermissionDenied(SCOPE_MISSING) unless one of the suite's own processes calls."""
    principal.require_scope(INTERNAL_SCOPE)


def actor_of(principal: Principal, correlation_id: str) -> Actor:
    """The caller as the audit log names it; a token's subject is marked, since its issuer chooses the text."""
    name = f"token:{principal.subject}" if principal.kind == "jwt" else principal.subject
    return Actor(name, correlation_id)


def canonical_tenant_id(text: str) -> str:
    """A tenant id in canonical form. Raises InvalidArgument(BAD_TENANT_ID) unless it is a UUID and not the nil one."""
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        parsed = uuid.UUID(int=0)
    if parsed.int == 0:
        raise InvalidArgument("BAD_TENANT_ID", "the tenant id is not a UUID", field="tenant_id")
    return str(parsed)


def tenant_not_found() -> NotFound:
    """There is no such tenant, as far as the caller may know."""
    return NotFound("TENANT_NOT_FOUND", "there is no such tenant")
