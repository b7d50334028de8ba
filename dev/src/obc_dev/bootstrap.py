"""The demo tenant and its keys, made through the public API and kept for later runs."""

import asyncio
import time

from obc_dev.api import Api, ApiError
from obc_dev.supervision.supervisor import StackError

# Fixed, so that making it again finds it again.
DEMO_TENANT_ID = "0bc0de00-0000-4000-8000-000000000001"
_DEMO_TENANT_NAME = "Demo"
_PATIENCE_SECONDS = 10.0


async def demo_keys(url: str, operator_key: str, known: dict[str, str]) -> dict[str, str]:
    """`OBC_TENANT_ID`, `OBC_WRITE_KEY` and `OBC_SECRET_KEY` of the demo tenant.

    Args:
        url: the gateway.
        operator_key: manages tenants.
        known: keys of an earlier run; answered as they are while they still work.

    Raises:
        StackError: the API refuses, e.g. since the database belongs to another state folder.
    """
    if known.get("OBC_SECRET_KEY") and await _works(url, known["OBC_SECRET_KEY"]):
        return {name: known[name] for name in ("OBC_TENANT_ID", "OBC_WRITE_KEY", "OBC_SECRET_KEY")}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    async with Api(url, operator_key) as api:
        while True:
            try:
                await _ensure_tenant(api)
                break
            except ApiError as error:
                # The gateway may hear of the operator key a moment after it is ready.
                if error.status not in (401, 503) or time.monotonic() > deadline:
                    raise StackError(f"the demo tenant cannot be made: {error}") from error
                await asyncio.sleep(0.2)
        keys = f"/v1/tenants/{DEMO_TENANT_ID}/keys"
        write = await api.post(keys, {"kind": "write", "name": "demo write key"})
        scopes = ["ingest", "query", "config", "export", "admin"]
        secret = await api.post(keys, {"kind": "secret", "name": "demo secret key", "scopes": scopes})
    return {
        "OBC_TENANT_ID": DEMO_TENANT_ID,
        "OBC_WRITE_KEY": write["secret"],
        "OBC_SECRET_KEY": secret["secret"],
    }


async def _ensure_tenant(api: Api) -> None:
    try:
        await api.post("/v1/tenants", {"name": _DEMO_TENANT_NAME, "tenant_id": DEMO_TENANT_ID})
    except ApiError as error:
        if error.status != 409:
            raise


async def _works(url: str, secret_key: str) -> bool:
    async with Api(url, secret_key) as api:
        try:
            answer = await api.get("/v1/config")
        except ApiError:
            return False
        return bool(answer["config"]["tenant_id"] == DEMO_TENANT_ID)
