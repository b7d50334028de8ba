"""The whole product as real processes on one machine: which ones, in which order, with which environment."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from obc_dev.bootstrap import demo_keys
from obc_dev.servers.local_server import Launch, LocalServer
from obc_dev.servers.ports import free_ports, holder, is_taken
from obc_dev.servers.postgres import PostgresServer
from obc_dev.servers.redis import RedisServer
from obc_dev.settings import DevSettings
from obc_dev.state import RunNote, StateFolder
from obc_dev.supervision.child import ProcessSpec
from obc_dev.supervision.console import Console
from obc_dev.supervision.readiness import http_ready, server_ready
from obc_dev.supervision.supervisor import StackError, Supervisor
from obc_migrations.runner import MigrationError, migrate

_DATABASE = "analytics"
# Of a checkout; not there when the packages were installed from elsewhere.
_SDK = Path(__file__).resolve().parents[3] / "sdk"
# The defaults are for a far smaller database: the ledger's index outgrows 128 MB, and a checkpoint per gigabyte of WAL
# comes every few seconds under load, each followed by full-page images.
_POSTGRES_SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "4GB"}


@dataclass(frozen=True, slots=True)
class RunningStack:
    """Where the running stack is reached, and with what.

    Attributes:
        database_url: PostgreSQL as the owner of the schema.
        demo: the content of `demo.env`.
    """

    database_url: str
    demo: Mapping[str, str]


@asynccontextmanager
async def running_stack(settings: DevSettings, console: Console, supervisor: Supervisor) -> AsyncIterator[RunningStack]:
    """Starts everything, waits until it serves, and ends it in reverse order.

    Raises StackError when the state folder is in use, a port is taken, or a process does not become ready.
    """
    state = StateFolder(settings.dev_state_dir)
    with state.locked():
        _require_free_ports(settings)
        try:
            state.write_note(RunNote(os.getpid(), False, {}))
            database_url, redis_url = await _start_servers(settings, state, supervisor)
            await _migrate(settings, database_url, console)
            replicas = _ingest_replicas(settings)
            ingest = _ingest_target(replicas)
            environment = _environment(settings, state, database_url, redis_url, ingest, colour=console.colour)
            await supervisor.start(*_services(settings, environment, replicas))
            demo = await _demo(settings, state, ingest)
            state.write_demo_env(demo)
            state.write_note(RunNote(os.getpid(), True, supervisor.pids()))
            supervisor.on_restart(lambda: state.write_note(RunNote(os.getpid(), True, supervisor.pids())))
            yield RunningStack(database_url, demo)
        finally:
            await supervisor.stop()


def _require_free_ports(settings: DevSettings) -> None:
    taken = []
    names: dict[int, str] = {}
    for name, port in settings.ports().items():
        if port in names:
            raise StackError(f"{names[port]} and {name} are both {port}: set one of them to another port")
        names[port] = name
    for name, port in settings.ports().items():
        if is_taken(port):
            by = holder(port)
            taken.append(f"port {port} is taken{f' by {by}' if by else ''}: end that, or set {name} to another port")
    if taken:
        raise StackError("\n".join(taken))


async def _start_servers(settings: DevSettings, state: StateFolder, supervisor: Supervisor) -> tuple[str, str]:
    servers: list[LocalServer] = []
    database_url = settings.database_url.get_secret_value() if settings.database_url else ""
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    if not database_url:
        postgres = PostgresServer(state.postgres_data, settings.dev_postgres_port, state.log_file, _POSTGRES_SETTINGS)
        database_url = postgres.dsn(_DATABASE)
        servers.append(postgres)
    if not redis_url:
        redis = RedisServer(state.redis_folder, settings.dev_redis_port, state.log_file)
        redis_url = redis.url
        servers.append(redis)
    for server in servers:
        server.prepare()
    specs = [ProcessSpec(one.name, one.launch(), server_ready(one), dict(os.environ)) for one in servers]
    await supervisor.start(*specs)
    if settings.database_url is None:
        await _ensure_database(postgres)
    return database_url, redis_url


async def _ensure_database(postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.dsn(), timeout=10)
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", _DATABASE, timeout=10):
            await connection.execute(f'CREATE DATABASE "{_DATABASE}"', timeout=60)
    finally:
        await connection.close(timeout=10)


async def _migrate(settings: DevSettings, database_url: str, console: Console) -> None:
    owner = settings.migrations_database_url
    try:
        applied = await migrate(owner.get_secret_value() if owner else database_url)
    except (MigrationError, asyncpg.PostgresError, OSError, TimeoutError) as error:
        raise StackError(f"the database cannot be migrated: {error or type(error).__name__}") from error
    console.say(f"the schema is up to date ({len(applied)} migrations applied)")


def _ingest_replicas(settings: DevSettings) -> list[tuple[int, int]]:
    """gRPC and admin port of each ingest process."""
    free = free_ports(2 * (settings.dev_ingest_processes - 1))
    pairs = zip(free[::2], free[1::2], strict=True)
    return [(settings.ingest_grpc_port, settings.ingest_admin_port), *pairs]


def _ingest_target(replicas: list[tuple[int, int]]) -> str:
    """The gRPC target that means all of them."""
    addresses = ",".join(f"127.0.0.1:{port}" for port, _ in replicas)
    return addresses if len(replicas) == 1 else f"ipv4:{addresses}"


def _environment(
    settings: DevSettings, state: StateFolder, database_url: str, redis_url: str, ingest: str, *, colour: bool
) -> dict[str, str]:
    secrets = state.secrets()
    # What a person would set anyway stays as it is; what the stack must know itself is set.
    defaults = {
        "ANALYTICS_LOG_FORMAT": "console",
        "ANALYTICS_DRAIN_DELAY_SECONDS": "0",  # there is no load balancer to wait for
        "ANALYTICS_DRAIN_GRACE_SECONDS": "5",
        "ANALYTICS_REFLECTION_ENABLED": "true",
        "ANALYTICS_WAREHOUSE_URL": f"chdb://{state.warehouse}",
        "ANALYTICS_INTERNAL_SECRET": secrets.internal_secret,
        "ANALYTICS_BOOTSTRAP_OPERATOR_KEY": secrets.operator_key,
        **({"ANALYTICS_DEMO_FOLDER": str(_SDK)} if (_SDK / "demo").is_dir() else {}),
        **({"FORCE_COLOR": "1"} if colour else {}),
    }
    known = {
        "ANALYTICS_DATABASE_URL": database_url,
        "ANALYTICS_REDIS_URL": redis_url,
        "ANALYTICS_INGEST_ADDRESS": ingest,
        "ANALYTICS_QUERY_ADDRESS": f"127.0.0.1:{settings.query_grpc_port}",
        "ANALYTICS_WORKER_ADDRESS": f"127.0.0.1:{settings.worker_grpc_port}",
        "ANALYTICS_TENANT_CONFIG_ADDRESS": f"127.0.0.1:{settings.tenant_config_grpc_port}",
        "ANALYTICS_DEMO_KEY_FILE": str(state.demo_key),
        "PYTHONUNBUFFERED": "1",
        **{name: str(port) for name, port in settings.ports().items() if "_DEV_" not in name},
    }
    return {**defaults, **os.environ, **known}


def _services(
    settings: DevSettings, environment: dict[str, str], ingest_replicas: list[tuple[int, int]]
) -> list[ProcessSpec]:
    def service(name: str, readyz_port: int, number: int = 1, **own: str) -> ProcessSpec:
        module = f"obc_{name.replace('-', '_')}"
        ready = http_ready(f"http://127.0.0.1:{readyz_port}/readyz")
        launch = Launch((sys.executable, "-m", module))
        label = name if number == 1 else f"{name}-{number}"
        return ProcessSpec(label, launch, ready, {**environment, **own}, stop_timeout=15.0)

    # Side by side: each waits for what it needs, as it must in production, where nothing orders their starts either.
    # Asked on their admin ports (which answer as gRPC health does): a process that uses gRPC must not fork.
    return [
        service("tenant-config", settings.tenant_config_admin_port),
        *(
            service(
                "ingest",
                admin,
                number,
                ANALYTICS_INGEST_GRPC_PORT=str(grpc),
                ANALYTICS_INGEST_ADMIN_PORT=str(admin),
            )
            for number, (grpc, admin) in enumerate(ingest_replicas, 1)
        ),
        service("query", settings.query_admin_port),
        service("worker", settings.worker_admin_port),
        service("gateway", settings.gateway_admin_port),
    ]


async def _demo(settings: DevSettings, state: StateFolder, ingest: str) -> dict[str, str]:
    url = f"http://127.0.0.1:{settings.gateway_port}"
    operator_key = os.environ.get("ANALYTICS_BOOTSTRAP_OPERATOR_KEY") or state.secrets().operator_key
    keys = await demo_keys(url, operator_key, state.read_demo_env())
    return {
        "OBC_URL": url,
        **keys,
        "OBC_OPERATOR_KEY": operator_key,
        "OBC_GRPC_INGEST": ingest,
    }
