"""What a caller may not claim: another tenant, or a page that its key does not list."""

from obc_common.context import Principal
from obc_common.errors import PermissionDenied
from obc_gateway.edge.origins import normal_origin


def check_tenant(principal: Principal, named: str | None) -> None:
    """Raises PermissionDenied(TENANT_MISMATCH) when a header, path or body names another tenant than the caller's.

    Operators belong to no tenant, so nothing they name contradicts their credential.
    """
    if not named or principal.is_operator:
        return
    if named.strip().lower() != principal.tenant_id.lower():
        raise PermissionDenied("TENANT_MISMATCH", "The credential belongs to another tenant than the one named.")


def check_origin(principal: Principal, origin_header: str | None) -> None:
    """Raises PermissionDenied(ORIGIN_NOT_ALLOWED) when a write key is used from a page that may not use it.

    An allow-list keeps honest browsers honest; anything that is no browser can forge an Origin. `null` is never allowed
    for a write key, and a key with a list cannot be used without an Origin.
    """
    if principal.kind != "write":
        return
    if origin_header is None:
        if principal.allowed_origins:
            raise _not_allowed()
        return
    origin = normal_origin(origin_header)
    if origin is None:
        raise _not_allowed()
    if principal.allowed_origins and origin not in {allowed.lower() for allowed in principal.allowed_origins}:
        raise _not_allowed()


def refuse_null_origin(origin_header: str | None) -> None:
    """Raises PermissionDenied(ORIGIN_NOT_ALLOWED) for an Origin that is `null` or none at all."""
    if origin_header is not None and normal_origin(origin_header) is None:
        raise _not_allowed()


def _not_allowed() -> PermissionDenied:
    return PermissionDenied("ORIGIN_NOT_ALLOWED", "This key may not be used from this origin.")
