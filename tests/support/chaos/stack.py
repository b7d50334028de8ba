"""The whole product as real processes under the development supervisor, with fault proxies between them.

Clients reach the gateway, and gateway and clients reach ingest, and everybody reaches PostgreSQL and Redis, through a
proxy. The supervisor starts again what dies, as a container platform does; nothing else helps anybody to recover.
"""

import asyncio
import importlib.util
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
import psutil
from prometheus_client.parser import text_string_to_metric_families

from obc_dev.servers.local_server import Launch
from obc_dev.servers.ports import free_ports
from obc_dev.servers.postgres import PostgresServer
from obc_dev.servers.redis import RedisServer
from obc_dev.state import StateFolder
from obc_dev.supervision.child import ProcessSpec
from obc_dev.supervision.console import Console
from obc_dev.supervision.readiness import http_ready, server_ready
from obc_dev.supervision.supervisor import Supervisor
from obc_migrations.runner import migrate
from obc_query.warehouse import Warehouse
from tests.support.chaos.fault_proxy import FaultProxy
from tests.support.product import Product

SERVICES = ("tenant-config", "ingest", "query", "gateway", "worker")
STORES = ("postgres", "redis")
_DATABASE = "analytics"
_STOP_TIMEOUT = 15.0


def present_services() -> list[str]:
    """The services this source tree has."""
    return [name for name in SERVICES if importlib.util.find_spec(f"obc_{name.replace('-', '_')}") is not None]


class BrokenStack:
    """The running processes and the faults one may cause.

    Attributes:
        product: where clients reach it (through the proxies); `database_url` goes past them.
        proxies: by what is behind them: gateway, ingest, postgres, redis.
        names: every process.
    """

    def __init__(self, folder: Path, rng: random.Random, settings: Mapping[str, str]) -> None:
        self.state = StateFolder(folder)
        self.state.path.mkdir(parents=True, exist_ok=True)
        self._settings = settings
        self._console = Console(self.state.log_file, None)
        self.supervisor = Supervisor(self._console)
        self.names = [*STORES, *present_services()]
        ports = iter(free_ports(2 + 2 * len(self.names)))
        self._ports = {name: next(ports) for name in self.names}
        self._admin_ports = {name: next(ports) for name in self.names}
        self._postgres = PostgresServer(self.state.postgres_data, self._ports["postgres"], self.state.log_file)
        self._redis = RedisServer(self.state.redis_folder, self._ports["redis"], self.state.log_file)
        replies = {
            "gateway": lambda piece: b'"results"' in piece,
            "ingest": lambda piece: len(piece) > 500,  # an acknowledgement; HTTP/2's own frames are shorter
            "postgres": lambda piece: b"COMMIT\x00" in piece,
            "redis": lambda piece: True,
        }
        self.proxies = {
            name: FaultProxy(self._ports[name], is_reply, random.Random(rng.random()))
            for name, is_reply in replies.items()
        }

    @property
    def warehouse(self) -> Warehouse:
        """The read model, to be opened when query has ended."""
        return Warehouse(f"chdb://{self.state.warehouse}", "obc")

    @property
    def product(self) -> Product:
        """See the class."""
        return Product(
            url=f"http://127.0.0.1:{self.proxies['gateway'].port}",
            ingest_address=f"127.0.0.1:{self.proxies['ingest'].port}",
            operator_key=self.state.secrets().operator_key,
            database_url=self._postgres.dsn(_DATABASE),
        )

    async def start(self) -> None:
        """Starts everything and waits until it serves. Whoever calls this must call `stop`, also when it fails."""
        for server in (self._postgres, self._redis):
            await asyncio.to_thread(server.prepare)
        await self.supervisor.start(
            *(ProcessSpec(s.name, s.launch(), server_ready(s), dict(os.environ)) for s in (self._postgres, self._redis))
        )
        connection = await asyncpg.connect(self._postgres.dsn(), timeout=10)
        try:
            await connection.execute(f"CREATE DATABASE {_DATABASE}", timeout=60)
        finally:
            await connection.close()
        await migrate(self._postgres.dsn(_DATABASE))
        for proxy in self.proxies.values():
            await proxy.start()
        await self.supervisor.start(*(self._service(name) for name in present_services()))

    async def stop(self) -> None:
        """Ends everything."""
        for name in self.names:
            self.signal(name, signal.SIGCONT)
        for proxy in self.proxies.values():
            proxy.heal()
        await self.supervisor.stop()
        for proxy in self.proxies.values():
            await proxy.stop()
        self._console.close()

    def pid(self, name: str) -> int | None:
        """The process, None while it is being started again."""
        return self.supervisor.pids().get(name)

    def signal(self, name: str, number: int) -> bool:
        """Sends a signal to a process and to all it started (PostgreSQL's own); False when it is not there."""
        pid = self.pid(name)
        try:
            process = psutil.Process(pid) if pid is not None else None
            family = [process, *process.children(recursive=True)] if process is not None else []
        except psutil.NoSuchProcess:
            return False
        for one in family:
            try:
                one.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        return bool(family)

    async def all_ready(self) -> bool:
        """True when every process says that it serves; not asked through the proxies."""
        answers = await asyncio.gather(
            server_ready(self._postgres)(),
            server_ready(self._redis)(),
            *(http_ready(self._admin(name, "readyz"))() for name in present_services()),
        )
        return all(answers)

    async def metrics(self, name: str) -> dict[str, float]:
        """A process's metrics, summed over labels except `outcome`: `name` or `name.outcome`. Empty: no answer."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(self._admin(name, "metrics")) as response,
            ):
                text = await response.text()
        except (aiohttp.ClientError, OSError):
            return {}
        sums: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                for key in (sample.name, f"{sample.name}.{sample.labels.get('outcome', '')}"):
                    sums[key] = sums.get(key, 0) + sample.value
        return sums

    def log(self) -> str:
        """What the processes wrote."""
        return self.state.log_file.read_text(errors="replace")

    def _admin(self, name: str, path: str) -> str:
        return f"http://127.0.0.1:{self._admin_ports[name]}/{path}"

    def _service(self, name: str) -> ProcessSpec:
        upper = name.replace("-", "_").upper()
        module = f"obc_{upper.lower()}"
        own_port = "ANALYTICS_GATEWAY_PORT" if name == "gateway" else f"ANALYTICS_{upper}_GRPC_PORT"
        secrets = self.state.secrets()
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("ANALYTICS_", "OBC_"))},
            "PYTHONUNBUFFERED": "1",
            "ANALYTICS_LOG_LEVEL": "warning",
            "ANALYTICS_DRAIN_DELAY_SECONDS": "0",
            "ANALYTICS_DRAIN_GRACE_SECONDS": "5",
            "ANALYTICS_INTERNAL_SECRET": secrets.internal_secret,
            "ANALYTICS_BOOTSTRAP_OPERATOR_KEY": secrets.operator_key,
            "ANALYTICS_WAREHOUSE_URL": self.warehouse.url,
            "ANALYTICS_DATABASE_URL": f"postgresql://postgres@127.0.0.1:{self.proxies['postgres'].port}/{_DATABASE}",
            "ANALYTICS_REDIS_URL": f"redis://127.0.0.1:{self.proxies['redis'].port}/0",
            "ANALYTICS_INGEST_ADDRESS": f"127.0.0.1:{self.proxies['ingest'].port}",
            "ANALYTICS_QUERY_ADDRESS": f"127.0.0.1:{self._ports['query']}",
            "ANALYTICS_TENANT_CONFIG_ADDRESS": f"127.0.0.1:{self._ports['tenant-config']}",
            own_port: str(self._ports[name]),
            f"ANALYTICS_{upper}_ADMIN_PORT": str(self._admin_ports[name]),
            **self._settings,
        }
        launch = Launch((sys.executable, "-m", module))
        return ProcessSpec(
            name, launch, http_ready(self._admin(name, "readyz")), environment, stop_timeout=_STOP_TIMEOUT
        )


@asynccontextmanager
async def broken_stack(folder: Path, rng: random.Random, settings: Mapping[str, str]) -> AsyncIterator[BrokenStack]:
    """A started stack that is not broken yet."""
    stack = BrokenStack(folder, rng, settings)
    async with AsyncExitStack() as exits:
        exits.push_async_callback(stack.stop)
        await stack.start()
        yield stack
