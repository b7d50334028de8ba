"""/livez, /readyz and /health. They only read cached verdicts: a probe never waits for anything."""

import orjson
from aiohttp import web

from obc_common.health import HealthRegistry
from obc_gateway.lifecycle import Lifecycle

# What may be left out; saying `ok` of something that does not run would be a lie.
_OPTIONAL = frozenset({"worker"})
_VITAL = frozenset({"database", "ingest"})
_OWN = frozenset({"startup", "lifecycle"})


class Probes:
    """Answers the probes.

    Args:
        health: the components' cached verdicts.
        lifecycle: whether the process is leaving.
    """

    def __init__(self, health: HealthRegistry, lifecycle: Lifecycle) -> None:
        self._health = health
        self._lifecycle = lifecycle

    async def livez(self, _request: web.Request) -> web.Response:
        """The event loop turns; nothing else is asked, so that a restart is never the answer to a lost dependency."""
        return _json({"status": "ok"})

    async def readyz(self, _request: web.Request) -> web.Response:
        """Whether new requests should come here."""
        components = {
            name: {"status": "ok" if part.ok else "down", "detail": part.detail}
            for name, part in self._health.components().items()
        }
        components |= {name: {"status": "not_configured", "detail": ""} for name in _OPTIONAL - set(components)}
        ready = self._health.ready() and not self._lifecycle.leaving
        return _json({"ready": ready, "components": components}, 200 if ready else 503)

    async def health(self, _request: web.Request) -> web.Response:
        """The suite as a whole: `ok`, `degraded` (something that can be missed is away) or `down`."""
        verdicts = {name: part.ok for name, part in self._health.components().items() if name not in _OWN}
        services = {name: "ok" if ok else "down" for name, ok in verdicts.items()}
        services |= dict.fromkeys(_OPTIONAL - set(services), "not_configured")
        if not all(verdicts[name] for name in _VITAL):
            status = "down"
        else:
            status = "ok" if all(verdicts.values()) else "degraded"
        return _json({"status": status, "services": services}, 503 if status == "down" else 200)


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
