"""Forked processes: each client begins anew in the child.

The child has none of the parent's threads, and the parent goes on delivering what it has queued. So the child's client
drops its copy of the queue, uncounted, and connects for itself with its first event. The parent's connection is neither
used nor closed there: a farewell on the shared socket would end it for the parent.
"""

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something to be made new in a forked child."""

    def after_fork_in_child(self) -> None:
        """Begins anew. Only the forking thread exists; locks of before may be held for ever."""
        ...


_clients: "weakref.WeakSet[Forkable]" = weakref.WeakSet()


def renew_after_fork(client: Forkable) -> None:
    """Has the client begin anew in every forked child, for as long as it lives."""
    _clients.add(client)


def _in_child() -> None:
    for client in list(_clients):
        client.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
