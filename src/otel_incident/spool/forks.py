"""What a fork must not come between, and what a forked child must let go of.

A lock lives for as long as any process has its file open: a file that is being opened and locked while
another thread forks would live on in the child without anybody there knowing. A module that is being imported
then is half a module in the child for ever. So a fork waits for such a moment to pass, though not for long.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING, Final, Protocol, final

from otel_incident.guard import LOCK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORK_SECONDS: Final = 1.0  # a file system that hangs must not make the host's fork hang


class Inherited(Protocol):
    """Something that holds a file which a child must not keep open."""

    def forget(self) -> None:
        """Close it in the child."""
        ...


@final
class _Moment:
    """Something that a fork must not come between."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._forking = threading.local()  # whether this thread's fork could have the lock

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """No other thread forks in here.

        Raises:
            TimeoutError: Another thread is still in here.
        """
        lock = self._lock
        if not lock.acquire(timeout=LOCK_SECONDS):
            raise TimeoutError
        try:
            yield
        finally:
            with contextlib.suppress(RuntimeError):  # a child forked in here, by this thread, has a new one
                lock.release()

    def before(self) -> None:
        """Wait for it."""
        self._forking.waited = self._lock.acquire(timeout=_FORK_SECONDS)

    def in_parent(self) -> None:
        """Let it come again."""
        if self._forking.waited:
            self._lock.release()

    def in_child(self) -> None:
        """Nobody else is here."""
        self._lock = threading.RLock()


no_fork: Final = _Moment()
"""Between the opening of a file and the note of its descriptor."""

no_fork_while_importing: Final = _Moment()
"""While an exporter is made, which takes long: nobody who writes waits for it."""

_moments: Final = (no_fork, no_fork_while_importing)
_all: Final[weakref.WeakSet[Inherited]] = weakref.WeakSet()


def forget_in_children(inherited: Inherited) -> None:
    """Have this closed in every child that is forked from now on."""
    _all.add(inherited)


def _before() -> None:
    for moment in _moments:
        moment.before()


def _in_parent() -> None:
    for moment in _moments:
        moment.in_parent()


def _in_child() -> None:
    for moment in _moments:
        moment.in_child()
    for inherited in list(_all):
        inherited.forget()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
