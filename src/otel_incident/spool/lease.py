"""The right to deliver from a directory: one process has it at a time, and loses it when it ends.

The kernel gives the lock back whatever ends the process. It does not when the process is stopped; what waits
is then delivered when it goes on, or when whoever stopped it ends it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, final

from otel_incident.spool.forks import forget_in_children

if TYPE_CHECKING:
    from pathlib import Path


@final
class Lease:
    """The lease of one directory, as one process sees it.

    Args:
        path: The lock's file.
    """

    __slots__ = ("__weakref__", "_descriptor", "_path", "_pid")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._pid = 0
        forget_in_children(self)

    def held(self) -> bool:
        """Whether this process has it."""
        return self._descriptor >= 0 and self._pid == os.getpid()

    def take(self) -> bool:
        """Try to have it; whether this process has it now."""
        if self.held():
            return True
        self.forget()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor, self._pid = descriptor, os.getpid()
        return True

    def give_back(self) -> None:
        """Let another process have it."""
        if self.held():
            with contextlib.suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.forget()

    def forget(self) -> None:
        """Close what a fork left: closing alone does not give back what the parent holds."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
        self._descriptor, self._pid = -1, 0
