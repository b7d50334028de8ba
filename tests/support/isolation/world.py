"""Two tenants, everything the second has, and every kind of credential of the first."""

import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import asyncpg
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from obc_dev.api import Api, ApiError
from tests.support.eventually import eventually
from tests.support.product import Product, RestWay, Tenant, new_event

MARK = "nobody-else-may-see-this"
"""In everything that belongs to the second tenant and has a text."""
_AUDIENCE = "obc-isolation"
_HOUR_MS = 3_600_000
# last_used_at moves when a key is used, whoever looks.
_TABLES = {
    "tenants": "id",
    "tenant_configs": "tenant_id",
    "api_keys": "tenant_id",
    "audit_log": "tenant_id",
    "analytics_events": "tenant_id",
    "event_ids": "tenant_id",
    "bad_rows": "tenant_id",
    "saved_items": "tenant_id",
    "saved_versions": "tenant_id",
    "link_decisions": "tenant_id",
}


@dataclass(frozen=True, slots=True)
class World:
    """See the module.

    Attributes:
        own: the tenant whose credentials are used.
        other: the tenant that must not be touched.
        own_key_id, other_key_id: a live key of each.
        own_device, other_device: a device of each; the other's is unlinked.
        own_saved, other_saved: a saved insight, a dashboard and a cohort of each, by their variable in paths.
        credentials: by kind; None = none at all.
        jwks_url: of an issuer that may be registered.
    """

    product: Product
    own: Tenant
    other: Tenant
    own_key_id: str
    other_key_id: str
    own_device: str
    other_device: str
    own_saved: Mapping[str, str]
    other_saved: Mapping[str, str]
    credentials: Mapping[str, str | None]
    jwks_url: str

    async def throwaway_key(self) -> str:
        """The id of a new key of the own tenant."""
        async with Api(self.product.url, self.product.operator_key) as api:
            key = await api.post(f"/v1/tenants/{self.own.tenant_id}/keys", {"kind": "write"})
        key_id: str = key["key"]["key_id"]
        return key_id

    async def throwaway_saved(self) -> Mapping[str, str]:
        """A new saved insight, dashboard and cohort of the own tenant."""
        return await _saved(self.product, self.own, str(uuid.uuid4()))

    async def others_state(self) -> dict[str, str | None]:
        """A digest of every row of the other tenant, by table."""
        connection = await asyncpg.connect(self.product.database_url, timeout=10)
        try:
            return {
                table: await connection.fetchval(
                    f"""SELECT md5(string_agg((to_jsonb(t) - 'last_used_at')::text, ',' ORDER BY t::text))
                        FROM {table} t WHERE {column} = $1""",
                    uuid.UUID(self.other.tenant_id),
                )
                for table, column in _TABLES.items()
            }
        finally:
            await connection.close()


@asynccontextmanager
async def isolation_world(product: Product) -> AsyncIterator[World]:
    """Makes it all."""
    key = ec.generate_private_key(ec.SECP256R1())
    async with _jwks(key) as jwks_url, Api(product.url, product.operator_key) as operator:
        own, other = await product.new_tenant("Own"), await product.new_tenant(f"Other {MARK}")
        await product.change_rules(other, excluded_events=[MARK])
        async with RestWay(product, other) as way:
            good = new_event(event_name=f"{MARK}-event", properties={"secret": MARK}, user_id=f"{MARK}-user")
            device = new_event(event_name=f"{MARK}-event", anonymous_id=f"{MARK}-device")
            await way.send([good, device, new_event(event_name=f"{MARK}-bad", timestamp=1)])
        async with RestWay(product, own) as way:
            await way.send([new_event(anonymous_id="own-device")])
        await _unlink(product, other, f"{MARK}-device")
        await _readable(product, own, "own-device")
        other_key = await operator.post(f"/v1/tenants/{other.tenant_id}/keys", {"kind": "write", "name": MARK})
        own_key = await operator.post(f"/v1/tenants/{own.tenant_id}/keys", {"kind": "write"})
        credentials = await _keys(operator, own) | await _tokens(operator, product, own, other, key, jwks_url)
        yield World(
            product,
            own,
            other,
            own_key["key"]["key_id"],
            other_key["key"]["key_id"],
            "own-device",
            f"{MARK}-device",
            await _saved(product, own, "own"),
            await _saved(product, other, MARK),
            {**credentials, "write": own.write_key, "operator": product.operator_key, "none": None},
            jwks_url,
        )


async def _unlink(product: Product, tenant: Tenant, device: str) -> None:
    await _readable(product, tenant, device)
    async with Api(product.url, tenant.secret_key) as api:
        await api.post(f"/v1/identity/devices/{device}/decisions", {"decision": "unlink"})


async def _readable(product: Product, tenant: Tenant, device: str) -> None:
    async with Api(product.url, tenant.secret_key) as api:

        async def is_readable() -> bool:
            try:
                await api.get(f"/v1/identity/devices/{device}/link")
            except ApiError as error:
                if error.status != 404:
                    raise
                return False
            return True

        await eventually(is_readable, timeout=15, interval=0.1)


async def _saved(product: Product, tenant: Tenant, name: str) -> Mapping[str, str]:
    async with Api(product.url, tenant.secret_key) as api:
        request = {"filter": {"field": "user_id", "op": "eq", "values": [name]}}
        insight = await api.post("/v1/saved/insights", {"name": name, "kind": "sessions", "request": request})
        insight_id: str = insight["insight"]["insight_id"]
        dashboard = await api.post("/v1/saved/dashboards", {"name": name, "description": name})
        definition = {"static": {"person_ids": [name]}}
        cohort = await api.post("/v1/cohorts", {"name": name, "description": name, "definition": definition})
    return {
        "insight_id": insight_id,
        "dashboard_id": dashboard["dashboard"]["dashboard_id"],
        "cohort_id": cohort["cohort"]["cohort_id"],
    }


async def _keys(operator: Api, own: Tenant) -> dict[str, str | None]:
    path = f"/v1/tenants/{own.tenant_id}/keys"

    async def secret(*scopes: str, **fields: object) -> tuple[str, str]:
        made = await operator.post(path, {"kind": "secret", "scopes": scopes, **fields})
        return made["key"]["key_id"], made["secret"]

    found: dict[str, str | None] = {
        scope: (await secret(scope))[1] for scope in ("ingest", "query", "config", "export")
    }
    found["admin"] = (await secret("admin"))[1]
    revoked_id, found["revoked"] = await secret("admin")
    await operator.delete(f"{path}/{revoked_id}")
    _, found["expired"] = await secret("admin", expires_at_ms=int(time.time() * 1000) + 1500)
    return found


async def _tokens(
    operator: Api, product: Product, own: Tenant, other: Tenant, key: ec.EllipticCurvePrivateKey, jwks_url: str
) -> dict[str, str | None]:
    """Tokens of an issuer that is trusted for the own tenant only."""
    issuer = f"https://issuer.example/{uuid.uuid4()}"
    fields = {"audience": _AUDIENCE, "jwks_url": jwks_url, "algorithm": "ES256", "tenant_claim": "tenant",
              "scopes_claim": "scopes", "tenant_id": own.tenant_id}  # fmt: skip
    await operator.post("/v1/jwt-issuers", {"issuer": {"issuer": issuer, **fields}})

    def token(tenant_id: str, scopes: str, age: int = 0) -> str:
        now = int(time.time()) - age
        claims = {"iss": issuer, "aud": _AUDIENCE, "sub": "someone", "iat": now, "exp": now + 900}
        return jwt.encode({**claims, "tenant": tenant_id, "scopes": scopes}, key, "ES256", headers={"kid": "k"})

    tokens: dict[str, str | None] = {
        "jwt query": token(own.tenant_id, "query"),
        "jwt admin": token(own.tenant_id, "admin"),
        "jwt expired": token(own.tenant_id, "admin", age=3600),
        "jwt naming the other": token(other.tenant_id, "admin"),
    }

    async def is_trusted() -> bool:
        headers = {"Authorization": f"Bearer {tokens['jwt query']}"}
        async with aiohttp.ClientSession(product.url) as http, http.get("/v1/events", headers=headers) as answer:
            return answer.status == 200

    await eventually(is_trusted, timeout=15, interval=0.1)
    return tokens


@asynccontextmanager
async def _jwks(key: ec.EllipticCurvePrivateKey) -> AsyncIterator[str]:
    public = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k", "alg": "ES256", "use": "sig"}

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"keys": [public]})

    app = web.Application()
    app.router.add_get("/jwks", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    finally:
        await runner.cleanup()


def window() -> dict[str, str]:
    """The last day and the next hour, as parameters of a question."""
    now = int(time.time() * 1000)
    return {"from": str(now - 24 * _HOUR_MS), "to": str(now + _HOUR_MS)}
