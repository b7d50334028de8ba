"""A server program run as a child process with its output in a file."""

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from obc_dev.servers.launcher import launch_command


class ServerError(Exception):
    """A server cannot be installed, started or reached; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a server: the command, the user (None = the caller), the signal that ends it cleanly."""

    command: tuple[str, ...]
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM

    def arguments(self) -> list[str]:
        """The command for subprocess: it takes care of the user, and ends when its parent dies."""
        return launch_command(self.command, user=self.user, stop_signal=self.stop_signal)


class LocalServer(ABC):
    """A server on 127.0.0.1. `prepare` then `launch` serve a supervisor; `start` and `stop` do it all for a test.

    Owner of the process is whoever called `start`: it must call `stop`, also after an error.
    """

    name: str
    port: int

    def __init__(self, log_file: Path) -> None:
        self._log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Makes what must be there before the first start. Repeatable; quick when there is nothing to do."""

    @abstractmethod
    def launch(self) -> Launch:
        """The command that serves in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """True when the server answers. Never raises, returns within two seconds."""

    def start(self, timeout: float = 60.0) -> None:
        """Prepares, starts and waits until the server answers. Raises ServerError with the end of the server's log."""
        if self._process is not None:
            raise ServerError(f"{self.name} was started already")
        self.prepare()
        launch = self.launch()
        with self._log_file.open("ab") as log:
            # A session of its own, so that Ctrl-C in a terminal reaches the owner only, who ends things in order.
            self._process = subprocess.Popen(
                launch.arguments(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = self._log_file.read_text(errors="replace")[-2000:]
                raise ServerError(f"{self.name} does not answer on 127.0.0.1:{self.port}; its log ends:\n{tail}")
            time.sleep(0.02)

    def stop(self, timeout: float = 20.0) -> None:
        """Ends the server cleanly, or kills it after `timeout` seconds. Nothing happens when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(self.launch().stop_signal)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout)

    def kill(self) -> None:
        """Ends the server without warning, as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)
