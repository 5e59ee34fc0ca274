"""What a fork must not come between, and what a forked child must let go of.

A lock lives for as long as any process has its file open: a file that is being opened and locked while
another thread forks would live on in the child without anybody there knowing. A module that is being imported
then is half a module in the child for ever, and who imports it there waits for ever, since the thread that
holds its lock is gone. And gRPC has hooks of its own for a fork, which crash the child, or the parent,
where a request is just being made: where GRPC_ENABLE_FORK_SUPPORT is not set its releases have them half on
and half off, and to set it would change what the host's own gRPC does. So a fork waits for such a moment to
pass, though not for long.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import weakref
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from otel_incident.guard import LOCK_SECONDS, renew_locks

if TYPE_CHECKING:
    from collections.abc import Iterator

FORK_SECONDS: Final = 1.0  # a file system that hangs must not make the host's fork hang
IMPORT_SECONDS: Final = 5.0  # on a busy machine; a child that has half an import hangs for ever
SENDING_SECONDS: Final = 0.5
"""So long a fork waits for a request: one that takes longer waits for an answer, and a fork does it no harm.

Of 320 children forked beside new requests of the stock SDK 22 crashed; beside hanging ones, of 240 none.
"""
_POOLS: Final = "concurrent.futures.thread"
_GLANCE_SECONDS: Final = 0.001
_FORGOTTEN_SECONDS: Final = 60.0


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
        try:  # a signal handler that raises just when it is had must not leave it held
            if not lock.acquire(timeout=LOCK_SECONDS):
                raise TimeoutError
            yield
        finally:
            try:  # noqa: SIM105  with a call before it, a handler could come between
                lock.release()
            except RuntimeError:  # it was not had
                pass

    def before(self) -> None:
        """Wait for it."""
        self._forking.waited = self._lock.acquire(timeout=FORK_SECONDS)

    def in_parent(self) -> None:
        """Let it come again."""
        if self._forking.waited:
            self._lock.release()

    def in_child(self) -> None:
        """Nobody else is here."""
        self._lock = threading.RLock()


@final
class _Stay:
    """One stay of a thread in `Stays`; a context manager.

    It neither raises nor waits for other stays, needs no more of the stack to leave than to come, and may
    come again within itself: the first event is what a host's signal handler or log handler may be in.
    """

    __slots__ = ("_forking", "_inside", "_seconds", "since", "thread")

    def __init__(self, inside: set[_Stay], forking: set[int], seconds: float) -> None:
        self.thread = get_ident()
        self.since = time.monotonic()
        self._inside, self._forking, self._seconds = inside, forking, seconds

    def __enter__(self) -> None:
        """Keep forks of other threads waiting; wait for one that is at work, for so long at most."""
        self._inside.add(self)
        while self._forking and self.thread not in self._forking:
            if time.monotonic() > self.since + self._seconds:
                return
            self._inside.discard(self)
            time.sleep(_GLANCE_SECONDS)
            self._inside.add(self)

    def __exit__(self, *_: object) -> None:
        """Let them fork."""
        self._inside.discard(self)


@final
class Stays:
    """What several threads may do at a time, and a fork waits for all of them.

    Who imports may hold a lock that another one needs to come to his end (that of a module that imports us,
    of the host's log), and so may who forks. So nobody holds a lock of ours while he waits here, and nobody
    waits for long: a fork for so many seconds, in which others come and go; then it forks all the same.
    Only for the fork itself, once nobody is in here, do others wait. Each says what he is about to do before
    he looks for the other, so that one of the two sees it.

    Args:
        seconds: How long a fork waits at most, and others for a fork.
        forgotten: After so many seconds a stay is not waited for any more.
    """

    def __init__(self, seconds: float, forgotten: float) -> None:
        self._seconds, self._forgotten = seconds, forgotten
        self.in_child()

    def __call__(self) -> _Stay:
        """No other thread forks in here."""
        return _Stay(self._inside, self._forking, self._seconds)

    def before(self) -> None:
        """Wait until nobody else is in here."""
        thread, started = get_ident(), time.monotonic()
        while True:
            self._forking.add(thread)
            now = time.monotonic()
            if now > started + self._seconds or not any(
                # one that was interrupted on its way in has nobody to end it
                each.thread != thread and now < each.since + self._forgotten
                for each in list(self._inside)
            ):
                return
            self._forking.discard(thread)
            time.sleep(_GLANCE_SECONDS)

    def in_parent(self) -> None:
        """Let others come again."""
        self._forking.discard(get_ident())

    def in_child(self) -> None:
        """Nobody else is here."""
        self._inside: set[_Stay] = set()
        self._forking: set[int] = set()


no_fork: Final = _Moment()
"""Between the opening of a file and the note of its descriptor."""

no_fork_while_importing: Final = Stays(IMPORT_SECONDS, _FORGOTTEN_SECONDS)
"""While modules of ours, or an exporter's, are imported where the host is at work already."""

no_fork_while_sending: Final = Stays(SENDING_SECONDS, SENDING_SECONDS)
"""While a request over gRPC is at its first moments."""

# Who sends may import, and who imports may open a file, never the other way round.
_moments: Final = (no_fork_while_sending, no_fork_while_importing, no_fork)
_all: Final[weakref.WeakSet[Inherited]] = weakref.WeakSet()
_known: Final = [os.getpid()]
"""The process that knows which files are its own."""


def forget_in_children(inherited: Inherited) -> None:
    """Have this closed in every child that is forked from now on."""
    _all.add(inherited)


def notice_fork() -> None:
    """Do in a child what Python does in one that it has forked: uWSGI forks its workers past it."""
    if _known[0] != os.getpid():
        renew_locks()
        _in_child()


@final
class _Pools:
    """The lock of `concurrent.futures.thread`, which that module takes for a fork and renews in the child.

    The SDK looks for its resource in a pool of threads, after a fork in the child too. Where its provider is
    older than that module, it does so before the lock is renewed there, and waits for ever. Our imports, or
    the SDK's at the first event, may be what brings the module. So the fork happens with the lock free: our
    hooks are older than the module's, and Python calls the oldest last before a fork and first after it.
    Where the host had loaded the module before us, all is as it is without us.
    """

    def __init__(self) -> None:
        self._come_later = _POOLS not in sys.modules
        self._forking = threading.local()

    def before(self) -> None:
        """Give back what the module has taken for this fork."""
        pools: Any = sys.modules.get(_POOLS) if self._come_later else None
        whole = hasattr(pools, "ThreadPoolExecutor")  # the last of its names: its hooks are registered
        self._forking.lock = lock = pools._global_shutdown_lock if whole else None  # noqa: SLF001  no other way
        if lock is not None and lock.locked():
            lock.release()

    def in_parent(self) -> None:
        """Take it again: the module is about to give it back.

        Others hold it for moments alone, to start a thread of a pool. Had one of them held it for longer than
        we wait, the module would give back what is theirs; to wait on could hang the host's fork for ever.
        """
        if self._forking.lock is not None:
            self._forking.lock.acquire(timeout=FORK_SECONDS)


_pools: Final = _Pools()


def _before() -> None:
    _pools.before()  # first: who imports, and is waited for next, may need a pool to come to his end
    for moment in _moments:
        moment.before()


def _in_parent() -> None:
    for moment in _moments:
        moment.in_parent()
    _pools.in_parent()


def _in_child() -> None:
    _known[0] = os.getpid()
    for moment in _moments:
        moment.in_child()
    for inherited in list(_all):
        inherited.forget()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)

# After our hooks, see _Pools. Once the main thread has returned it cannot be imported, and the SDK needs it.
with contextlib.suppress(RuntimeError):  # it has returned already: `ending.pools_open` brings it, if need be
    import concurrent.futures.thread  # noqa: F401  for its hooks of a fork
