"""The state folder (`.obc/`): where the development stack keeps its data, its secrets and the note of its last run."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from obc_common.keys import generate_key
from obc_dev.supervision.supervisor import StackError


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made once per state folder: the secret of the suite's processes and the first operator key."""

    internal_secret: str
    operator_key: str


@dataclass(frozen=True, slots=True)
class RunNote:
    """What a running stack says about itself.

    Attributes:
        pid: the supervisor.
        ready: everything answers, `demo.env` is there.
        processes: pid by name.
    """

    pid: int
    ready: bool
    processes: dict[str, int]


class StateFolder:
    """Paths and files of one state folder; made when missing."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.postgres_data = self.path / "postgres"
        self.redis_folder = self.path / "redis"
        self.warehouse = self.path / "warehouse"
        self.log_file = self.path / "logs" / "stack.log"
        self.demo_env = self.path / "demo.env"
        self.demo_key = self.path / "demo-write-key"
        self._secrets = self.path / "secrets.json"
        self._note = self.path / "run.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for one run. Raises StackError when another run holds it. Ends with the process, however."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                note = self.read_note()
                raise StackError(
                    f"the stack of {self.path} is running already{f' (pid {note.pid})' if note else ''}: "
                    "see `make status`, end it with `make down` or Ctrl-C"
                ) from None
            try:
                yield
            finally:
                self._note.unlink(missing_ok=True)

    def is_running(self) -> bool:
        """True when a run holds the folder."""
        if not self.path.exists():
            return False
        with (self.path / "lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def secrets(self) -> Secrets:
        """The secrets of this folder, made on first use, readable by this user only."""
        if not self._secrets.exists():
            made = {"internal_secret": secrets.token_urlsafe(48), "operator_key": generate_key("operator")}
            _write_private(self._secrets, json.dumps(made))
        stored = json.loads(self._secrets.read_text())
        return Secrets(stored["internal_secret"], stored["operator_key"])

    def write_note(self, note: RunNote) -> None:
        """Says how the run is doing, for `make up` and `make status`."""
        content = {"pid": note.pid, "ready": note.ready, "processes": note.processes}
        _write_private(self._note, json.dumps(content))

    def read_note(self) -> RunNote | None:
        """What the run said last; None when there is no run."""
        try:
            stored = json.loads(self._note.read_text())
        except FileNotFoundError:
            return None
        return RunNote(stored["pid"], stored["ready"], stored["processes"])

    def write_demo_env(self, values: Mapping[str, str]) -> None:
        """Keeps the demo tenant's keys as `NAME=value` lines, for shells; the write key also alone, for the shop."""
        _write_private(self.demo_env, "".join(f"{name}={value}\n" for name, value in values.items()))
        _write_private(self.demo_key, values["OBC_WRITE_KEY"])

    def read_demo_env(self) -> dict[str, str]:
        """The demo tenant's keys; empty when there are none yet."""
        if not self.demo_env.exists():
            return {}
        pairs = (line.partition("=") for line in self.demo_env.read_text().splitlines() if "=" in line)
        return {name: value for name, _, value in pairs}


def _write_private(path: Path, content: str) -> None:
    # Written beside and moved, so that a reader never sees half of it.
    scratch = path.with_name(f"{path.name}.new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(content)
    scratch.replace(path)
