"""Becomes another program, as another user where asked, that does not outlive its parent.

A program of its own instead of `preexec_fn` and `user=` of subprocess: those fork, and who uses gRPC must not fork.
Run by path with the plain interpreter, so it imports the standard library only.

Usage: `python -I -S launcher.py SIGNAL USER COMMAND...` (USER `-` = stay who we are).
"""

import ctypes
import os
import pwd
import sys

_PR_SET_PDEATHSIG = 1


def launch_command(command: tuple[str, ...], *, user: str | None, stop_signal: int) -> list[str]:
    """The command that starts `command` through this launcher."""
    return [sys.executable, "-I", "-S", __file__, str(stop_signal), user or "-", *command]


def _main() -> None:
    parent = os.getppid()
    stop_signal, user, *command = sys.argv[1:]
    if user != "-":
        entry = pwd.getpwnam(user)
        os.chdir("/")
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    if sys.platform == "linux":
        # After setuid, which clears it: the kernel sends the signal when the parent dies, however it dies (prctl(2)).
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(stop_signal))
        if os.getppid() != parent:
            sys.exit("the parent is gone")
    os.execvp(command[0], command)  # noqa: S606  # becoming that program is the purpose


if __name__ == "__main__":
    _main()
