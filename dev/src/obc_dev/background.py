"""`make up`, `down`, `status`, `logs` and `reset`: the same stack without a terminal."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque

import psutil
from rich.console import Console as RichConsole
from rich.table import Table

from obc_dev.settings import DevSettings
from obc_dev.state import StateFolder
from obc_dev.supervision.console import recoloured

_UP_TIMEOUT = 180.0
_DOWN_TIMEOUT = 90.0
_POLL = 0.1
_LAST_LINES = 40


def up(settings: DevSettings) -> int:
    """Starts the stack in the background and waits until it is ready."""
    state = StateFolder(settings.dev_state_dir)
    if state.is_running():
        print("the stack is running already; see `make status`")
        return 0
    state.log_file.parent.mkdir(parents=True, exist_ok=True)
    with (state.log_file.parent / "up.log").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "obc_dev", "run", "--quiet"],
            stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + _UP_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            print((state.log_file.parent / "up.log").read_text(), file=sys.stderr)
            print(f"the stack did not start; its log is {state.log_file}", file=sys.stderr)
            return 1
        note = state.read_note()
        if note is not None and note.ready and note.pid == process.pid:
            print(f"the stack is ready at {state.read_demo_env()['OBC_URL']}; keys are in {state.demo_env}")
            return 0
        time.sleep(_POLL)
    print(f"the stack was not ready after {_UP_TIMEOUT:g} s; its log is {state.log_file}", file=sys.stderr)
    return 1


def down(settings: DevSettings) -> int:
    """Ends the stack, also one that runs in another terminal, and waits for it."""
    state = StateFolder(settings.dev_state_dir)
    note = state.read_note()
    if note is None or not state.is_running():
        print("the stack is not running")
        return 0
    os.kill(note.pid, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_TIMEOUT
    while state.is_running():
        if time.monotonic() > deadline:
            print(f"the stack (pid {note.pid}) did not end within {_DOWN_TIMEOUT:g} s", file=sys.stderr)
            return 1
        time.sleep(_POLL)
    print("the stack has ended")
    return 0


def status(settings: DevSettings) -> int:
    """Prints the processes of the running stack; status 3 when it does not run, as service managers do."""
    state = StateFolder(settings.dev_state_dir)
    note = state.read_note()
    if note is None or not state.is_running():
        print("the stack is not running")
        return 3
    ports = settings.ports()
    table = Table(title=f"stack of {state.path}: {'ready' if note.ready else 'starting'} (supervisor pid {note.pid})")
    for column in ("process", "pid", "state", "ports", "memory"):
        table.add_column(column)
    for name, pid in note.processes.items():
        words = name.replace("-", "_").upper()
        own = [str(port) for setting, port in ports.items() if f"_{words}_" in setting]
        running = psutil.pid_exists(pid)
        memory = f"{psutil.Process(pid).memory_info().rss // 2**20} MB" if running else ""
        table.add_row(name, str(pid), "running" if running else "dead", " ".join(own), memory)
    RichConsole().print(table)
    return 0


def logs(settings: DevSettings, only: str | None) -> int:
    """Prints the last lines of the log, then follows it until Ctrl-C. `only` = one process's lines."""
    state = StateFolder(settings.dev_state_dir)
    if not state.log_file.exists():
        print("there is no log yet")
        return 1
    colour = sys.stdout.isatty()
    with state.log_file.open(errors="replace") as log:
        wanted = (line for line in log if only is None or line.startswith(f"{only} "))
        for line in deque(wanted, maxlen=_LAST_LINES):
            print(recoloured(line.rstrip("\n")) if colour else line, end="\n" if colour else "")
        while True:
            line = log.readline()
            if not line:
                if not state.is_running():
                    return 0
                time.sleep(_POLL)
            elif only is None or line.startswith(f"{only} "):
                print(recoloured(line.rstrip("\n")) if colour else line, end="\n" if colour else "", flush=True)


def reset(settings: DevSettings) -> int:
    """Ends the stack and removes its state folder, with every event in it."""
    if down(settings) != 0:
        return 1
    state = StateFolder(settings.dev_state_dir)
    if state.path.exists():
        if not (state.path / "lock").exists():
            print(f"{state.path} is not a state folder; remove it by hand", file=sys.stderr)
            return 1
        shutil.rmtree(state.path)
    print(f"{state.path} is gone")
    return 0
