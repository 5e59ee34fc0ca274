"""What a forked child must let go of: a lock lives for as long as any process has its file open.

A file that is being opened and locked while another thread forks would live on in the child without anybody
there knowing; so a fork waits for that moment to pass.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING, Final, Protocol

from otel_incident.guard import LOCK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORK_SECONDS: Final = 1.0  # a file system that hangs must not make the host's fork hang


class Inherited(Protocol):
    """Something that holds a file which a child must not keep open."""

    def forget(self) -> None:
        """Close it in the child."""
        ...


class _Opening(threading.local):
    """The lock that a fork takes before it happens, and whether this thread's fork could have it."""

    lock = threading.RLock()
    held = False

    def before(self) -> None:
        self.held = self.lock.acquire(timeout=_FORK_SECONDS)

    def in_parent(self) -> None:
        if self.held:
            self.held = False
            self.lock.release()

    def in_child(self) -> None:
        _Opening.lock, self.held = threading.RLock(), False
        for inherited in list(_all):
            inherited.forget()


_all: Final[weakref.WeakSet[Inherited]] = weakref.WeakSet()
_opening: Final = _Opening()


@contextlib.contextmanager
def no_fork() -> Iterator[None]:
    """No other thread forks in here, between the opening of a file and the note of its descriptor.

    Raises:
        TimeoutError: Another thread is still in here.
    """
    lock = _opening.lock
    if not lock.acquire(timeout=LOCK_SECONDS):
        raise TimeoutError
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):  # a child forked in here, by this thread, has a new one
            lock.release()


def forget_in_children(inherited: Inherited) -> None:
    """Have this closed in every child that is forked from now on."""
    _all.add(inherited)


os.register_at_fork(
    before=_opening.before, after_in_parent=_opening.in_parent, after_in_child=_opening.in_child
)
