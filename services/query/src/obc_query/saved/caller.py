"""Who saves and who reads."""

from obc_common.context import current_principal

_SCOPE = "query"


def caller(scope: str = _SCOPE) -> tuple[str, str]:
    """Tenant and name of who calls; a token's subject is marked, since its issuer chooses the text."""
    principal = current_principal()
    principal.require_scope(scope)
    subject = f"token:{principal.subject}" if principal.kind == "jwt" else principal.subject
    return principal.require_tenant(), subject
