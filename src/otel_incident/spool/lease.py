"""The right to deliver from a directory: one process has it at a time, and loses it when it ends.

The kernel gives the lock back whatever ends the process. It does not when the process is stopped: so whoever
has the lease says now and then that it lives, and after a long silence another one puts a new lock file in
the place of the old. The one that goes on after a stop finds its file replaced; the batch that it was sending
then may arrive twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from typing import TYPE_CHECKING, Final, NamedTuple, final

from otel_incident.forks import forget_in_children, no_fork
from otel_incident.spool.descriptors import File, file_of, is_still, open_to_keep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SILENCE_SECONDS: Final = 120.0
"""So long a holder may say nothing; an attempt to deliver ends sooner, but for an exporter of anybody's."""

_LOOK: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW


class _Sign(NamedTuple):
    """What the holder leaves: its file, and when it last touched it."""

    file: int
    touched: int


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[bool]:
    """Whether no other process takes a lease over in a directory meanwhile."""
    with no_fork():
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            except OSError:  # a network file system, which locks files alone
                yield True
            else:
                yield True
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether some process has a lease at this moment; False where that cannot be said.

    Args:
        path: The lock's file; it is not made.
    """
    with no_fork():
        try:
            descriptor = os.open(path, _LOOK)
        except OSError:
            return False
        try:
            # shared, so that two who look do not take each other for a holder
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)
    return False


@final
class Lease:
    """The lease of one directory, as one process sees it. Methods raise OSError where there can be no lock.

    Args:
        path: The lock's file.
        now: The clock, in seconds; only differences count.
    """

    __slots__ = ("__weakref__", "_descriptor", "_file", "_now", "_seen", "_since", "path")

    def __init__(self, path: Path, now: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        """The lock's file."""
        self._now = now
        self._descriptor = -1
        self._file: File | None = None
        self._seen: _Sign | None = None
        self._since = 0.0
        forget_in_children(self)

    def held(self) -> bool:
        """Whether this process has it, and nobody has replaced it."""
        if self._descriptor < 0:
            return False
        try:
            current = (
                self._file is not None
                and self._file.is_at(self.path.stat())
                and is_still(self._descriptor, self._file)
            )
        except OSError:
            current = False
        if not current:
            self.forget()
        return current

    def take(self) -> bool:
        """Try to have it, or say that this process lives; whether this process has it now."""
        if self.held():
            with contextlib.suppress(OSError):  # a full disk does not end the lease
                os.utime(self._descriptor)
            return True
        return self._lock(self.path) or (self._is_silent() and self._replace())

    def give_back(self) -> None:
        """Let another process have it."""
        if is_still(self._descriptor, self._file):
            with contextlib.suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.forget()

    def forget(self) -> None:
        """Close what a fork left: closing alone does not give back what the parent holds."""
        descriptor, self._descriptor = self._descriptor, -1
        if is_still(descriptor, self._file):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _lock(self, path: Path, flags: int = _FLAGS) -> bool:
        with no_fork():
            descriptor = open_to_keep(path, flags)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file = file_of(descriptor)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError:
                os.close(descriptor)
                raise
            self._descriptor, self._file = descriptor, file
        return path != self.path or self.held()  # it may have been replaced between opening and locking

    def _is_silent(self) -> bool:
        """Whether the holder has said nothing for long, by the clock of this process alone."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return False
        sign = _Sign(status.st_ino, status.st_mtime_ns)
        if sign != self._seen:
            self._seen, self._since = sign, self._now()
        return self._now() - self._since >= SILENCE_SECONDS

    def _replace(self) -> bool:
        """Put a new lock file in the place of a silent holder's, unless another one has just done so."""
        with _alone_in(self.path.parent) as alone:
            return alone and self._is_silent() and self._put_another()

    def _put_another(self) -> bool:
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            if not self._lock(draft, _FLAGS | os.O_EXCL):
                return False
            draft.replace(self.path)
        except OSError:
            self.forget()
            draft.unlink(missing_ok=True)
            raise
        return self.held()
