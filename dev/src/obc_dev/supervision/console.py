"""What a person sees: log lines, prefixed and coloured by process, and the same without colours in a file."""

import logging.handlers
import re
import sys
from pathlib import Path
from typing import TextIO

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_RESET = "\x1b[0m"
_DIM = "\x1b[2m"
_BOLD = "\x1b[1m"
_RED = "\x1b[31m"
_COLOURS = {
    "postgres": "\x1b[34m",
    "redis": "\x1b[31m",
    "tenant-config": "\x1b[35m",
    "ingest": "\x1b[32m",
    "query": "\x1b[36m",
    "worker": "\x1b[37m",
    "gateway": "\x1b[33m",
}
_WIDTH = max(map(len, _COLOURS))
_LOG_BYTES = 20 * 1024 * 1024


def prefixed(name: str, line: str, *, colour: bool) -> str:
    """`line` behind its process's name; without its own colours unless `colour`."""
    if not colour:
        return f"{name:<{_WIDTH}} | {_ANSI.sub('', line)}"
    return f"{_COLOURS.get(name, _BOLD)}{name:<{_WIDTH}}{_RESET} {_DIM}|{_RESET} {line}"


def recoloured(line: str) -> str:
    """A line of the log file with its prefix coloured again."""
    name, bar, rest = line.partition(" | ")
    return prefixed(name.rstrip(), rest, colour=True) if bar else line


class Console:
    """Writes to the terminal and to a log file that is rolled over at 20 MB (one old file is kept)."""

    def __init__(self, log_file: Path | None, terminal: TextIO | None = sys.stdout) -> None:
        self._terminal = terminal
        self.colour = terminal is not None and terminal.isatty()
        self._file: logging.Handler | None = None
        if log_file is not None:
            log_file.parent.mkdir(parents=True, exist_ok=True)
            self._file = logging.handlers.RotatingFileHandler(log_file, maxBytes=_LOG_BYTES, backupCount=1, delay=True)

    def line(self, name: str, text: str) -> None:
        """One line that a process wrote."""
        if self._terminal is not None:
            print(prefixed(name, text, colour=self.colour), file=self._terminal, flush=True)
        if self._file is not None:
            plain = prefixed(name, text, colour=False)
            self._file.emit(logging.LogRecord("stack", logging.INFO, "", 0, plain, None, None))

    def say(self, text: str) -> None:
        """One line of our own."""
        self.line("stack", f"{_BOLD}{text}{_RESET}")

    def complain(self, text: str) -> None:
        """One line that somebody must read."""
        self.line("stack", f"{_RED}{_BOLD}{text}{_RESET}")

    def block(self, text: str) -> None:
        """Several lines without a prefix, for a person; not for the log file, as they hold keys."""
        if self._terminal is not None:
            print(text, file=self._terminal, flush=True)

    def close(self) -> None:
        """Closes the log file."""
        if self._file is not None:
            self._file.close()
