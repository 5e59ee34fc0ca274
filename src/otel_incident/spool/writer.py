"""The one who writes segments: a line is with the kernel before the host's call returns.

It is one `write`, so that a kill of the process loses nothing. The writer holds a lock on its segment for as
long as it lives, which is how readers know that there may be more to come.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import threading
import time
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar, final

from otel_incident.forks import forget_in_children, no_fork
from otel_incident.guard import LOCK_SECONDS
from otel_incident.spool.descriptors import File, file_of, is_still, open_to_keep
from otel_incident.spool.segments import FULL, SUFFIX, flush_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

A = TypeVar("A")
R = TypeVar("R")

SEGMENT_BYTES: Final = 4 * 2**20
"""A segment that has grown to this is followed by the next, so that what was delivered can be deleted."""

_CREATE: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class SpoolError(OSError):
    """A line could not be kept: the disk is full, the directory read-only or gone, or it cannot be locked."""


@final
class SegmentWriter:
    """The segment of this process; a forked child gets one of its own with its first line.

    Args:
        directory: Where segments are; it exists and is ours.
        durable: Whether a line is also flushed to the disk, which outlives a loss of power.
        now: The clock, ns since the epoch. Segments stay in the order they were made in if it jumps back.
    """

    __slots__ = (
        "__weakref__",
        "_busy",
        "_descriptor",
        "_directory",
        "_durable",
        "_file",
        "_flush_failed",
        "_last",
        "_lock",
        "_now",
        "_size",
        "_sync_lock",
        "_synced",
        "_unsynced",
        "_written",
    )

    def __init__(
        self, directory: Path, *, durable: bool = False, now: Callable[[], int] = time.time_ns
    ) -> None:
        self._directory = directory
        self._durable = durable
        self._now = now
        self._last = 0
        self._sync_lock = threading.RLock()  # with times of its own
        self._written = 0  # bytes, over all segments of this writer
        self._synced = 0  # of these, flushed to the disk
        self._unsynced = 0  # up to here a flush has failed
        self._flush_failed = False  # of the segment that is open
        self._descriptor = -1
        self._file: File | None = None
        self._size = 0
        self._busy = False
        # As `HostLock`, which is dearer: the thread that holds it may come back, a child finds it free.
        self._lock = threading.RLock()  # taken before the other one
        forget_in_children(self)

    def is_busy(self) -> bool:
        """Whether some thread is writing a line, or waits until it may go on after that."""
        return self._busy

    def append(self, line: bytes) -> None:
        """Keep one line.

        Raises:
            SpoolError: It could not be kept; no later line is lost for it.
        """
        end = self._put(line)
        if self._durable:
            self._sync(end)

    def append_all(self, lines: Iterable[bytes]) -> int:
        """Keep lines, with one flush for all of them, until one cannot be kept.

        Returns:
            How many were kept, from the first on.

        Raises:
            SpoolError: None was; some may be there all the same, since a flush that fails says so of all.
        """
        kept = end = 0
        for line in lines:
            try:
                end = self._put(line)
            except SpoolError:
                if not kept:
                    raise
                break
            kept += 1
        if kept and self._durable:
            self._sync(end)
        return kept

    def _put(self, line: bytes) -> int:
        """Write one line; up to where there is something to flush then."""
        lock = self._lock
        try:  # as `_alone`, which would be dearer
            if not lock.acquire(True, LOCK_SECONDS):  # noqa: FBT003  dearer with its name
                raise SpoolError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            if self._busy:  # a signal handler in the middle of a line: its own would damage the other
                raise SpoolError(errno.EBUSY, os.strerror(errno.EBUSY))
            self._busy = True
            try:
                self._append(line)
            finally:
                self._busy = False
            return self._written
        finally:
            try:  # noqa: SIM105  nothing may come between
                lock.release()
            except RuntimeError:
                pass

    def close(self, seconds: float = LOCK_SECONDS) -> None:
        """Let go of the segment: it is complete. A line that comes later begins another one.

        Args:
            seconds: How long a thread that writes a line is waited for, and one that flushes.

        Raises:
            SpoolError: It took longer.
        """
        _alone(self._lock, seconds, self._close_between_lines, seconds)

    def _close_between_lines(self, seconds: float) -> None:
        if not self._busy:
            self._close(seconds)

    def forget(self) -> None:
        """In a forked child: close the parent's segment, whose lock must not live on here."""
        descriptor = self._descriptor
        self._descriptor, self._size, self._busy = -1, 0, False
        self._lock, self._sync_lock = threading.RLock(), threading.RLock()
        self._flush_failed = False
        if is_still(descriptor, self._file):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _append(self, line: bytes) -> None:
        begun = self._size
        try:
            if self._size >= SEGMENT_BYTES or self._flush_failed or not self._is_open():
                self._close()
                self._open()
            begun = self._size
            written = os.write(self._descriptor, line)
            self._size += written
            if written != len(line):
                _raise(errno.ENOSPC)
        except OSError as error:
            if not (error.errno in FULL and self._take_back(begun)):
                self._close()  # whatever is at its end, nothing comes after it
            raise SpoolError(error.errno or errno.EAGAIN, error.strerror or "locked") from error
        self._written += written

    def _is_open(self) -> bool:
        """Whether the next line can go where the last one went.

        As `is_still`, with one look at the file for both questions: this is on every event's way. A segment
        that has lines is told from a host's file of its inode by its size.

        Raises:
            OSError: Somebody has deleted the segment, and what would be written to it would be gone; or the
                disk does not even say that.
        """
        file = self._file
        if self._descriptor < 0 or file is None:
            return False
        try:
            status = os.fstat(self._descriptor)
        except OSError as error:
            if error.errno == errno.EBADF:
                return False
            raise
        # a size that we do not know of: a signal handler has come between a write and its note
        if status.st_ino != file.inode or status.st_dev != file.device or status.st_size != self._size:
            return False
        if not self._size and not is_still(self._descriptor, file):
            return False
        if not status.st_nlink:
            _raise(errno.ENOENT)
        return True

    def _take_back(self, begun: int) -> bool:
        """On a full disk: leave no half line; whether the segment is empty then, and can wait for room.

        One that is not is let go, since it can be deleted only then: what was delivered of it may be all that
        fills the disk.

        Args:
            begun: Where the line begins.
        """
        if not is_still(self._descriptor, self._file):
            return False
        try:
            os.ftruncate(self._descriptor, begun)
        except OSError:
            return False
        self._size = begun
        return not begun

    def _sync(self, end: int) -> None:
        """Flush up to a line's end, unless another thread's flush has covered it meanwhile."""
        try:
            _alone(self._sync_lock, LOCK_SECONDS, self._flush_to, end)
        except OSError as error:
            raise SpoolError(error.errno or errno.EAGAIN, error.strerror or "locked") from error

    def _flush_to(self, end: int) -> None:
        if end <= self._unsynced:  # first: a later segment may have been flushed since
            _raise(errno.EIO)
        if self._synced < end:
            self._flush()

    def _flush(self) -> None:
        """Flush the segment, whose lock for that is held.

        After a failure the kernel may take the same pages for clean, so that a second flush proves nothing:
        whoever waits for one is told that it failed, and the next line begins another segment.
        """
        descriptor, target = self._descriptor, self._written
        if descriptor < 0:
            return
        try:
            if self._flush_failed or not is_still(descriptor, self._file):
                _raise(errno.EIO)
            os.fdatasync(descriptor)
        except OSError:
            self._flush_failed = True
            self._unsynced = self._written
            raise
        self._synced = target

    def _open(self) -> None:
        self._last = max(self._now(), self._last + 1)
        name = f"{self._last:020d}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        draft = self._directory / f".{name}"
        with no_fork():
            descriptor = open_to_keep(draft, _CREATE)
            try:
                # without a lock, or seen before it is locked, it would be taken for complete and deleted
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file = file_of(descriptor)
                draft.rename(self._directory / name)
                if self._durable:
                    flush_directory(self._directory)
            except BaseException:  # a signal handler's, too
                os.close(descriptor)
                draft.unlink(missing_ok=True)
                raise
            self._descriptor, self._file, self._size, self._flush_failed = descriptor, file, 0, False

    def _close(self, seconds: float = LOCK_SECONDS) -> None:
        if self._descriptor >= 0:
            _alone(self._sync_lock, seconds, self._let_go, self._descriptor)

    def _let_go(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):  # whoever waits for it is told
            if self._durable:
                self._flush()
        if not is_still(descriptor, self._file):
            self._descriptor = -1
            return
        with contextlib.suppress(OSError):
            try:
                # said: closing alone would leave it to a child that has a copy
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            finally:  # a handler comes before both, or after: what is unlocked takes no line
                self._descriptor = -1
                os.close(descriptor)


def _alone(lock: threading.RLock, seconds: float, call: Callable[[A], R], argument: A) -> R:
    """Call something while a lock is held; a signal handler that raises leaves it free.

    Python runs handlers when a call returns, before its caller knows of it: the lock may be had where it
    seems not to be. So it is taken within `try`, and no other call comes before it is given back.

    Raises:
        SpoolError: Others have had it for so many seconds.
    """
    try:
        if not lock.acquire(True, seconds):  # noqa: FBT003  dearer with its name
            raise SpoolError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return call(argument)
    finally:
        try:  # noqa: SIM105  it would be such a call
            lock.release()
        except RuntimeError:  # it was not had
            pass


def _raise(number: int) -> NoReturn:
    raise OSError(number, os.strerror(number))
