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
from typing import TYPE_CHECKING, Final, NoReturn, final

from otel_incident.forks import forget_in_children, no_fork
from otel_incident.guard import LOCK_SECONDS
from otel_incident.spool.descriptors import File, file_of, flags_of, is_still, open_to_keep
from otel_incident.spool.segments import FULL, SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

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
        "_flags",
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
        self._flags = 0
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
        if not lock.acquire(True, LOCK_SECONDS):  # noqa: FBT003  dearer with its name
            raise SpoolError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        try:
            if self._busy:  # a signal handler in the middle of a line: its own would damage the other
                raise SpoolError(errno.EBUSY, os.strerror(errno.EBUSY))
            self._busy = True
            try:
                self._append(line)
            finally:
                self._busy = False
            return self._written
        finally:
            lock.release()

    def close(self, seconds: float = LOCK_SECONDS) -> None:
        """Let go of the segment: it is complete. A line that comes later begins another one.

        Args:
            seconds: How long a thread that writes a line is waited for, and one that flushes.
        """
        lock = self._lock
        if lock.acquire(timeout=seconds):
            try:
                if not self._busy:
                    self._close(seconds)
            finally:
                lock.release()

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
        except BaseException:  # a signal handler's: only the file knows how much was written
            with contextlib.suppress(OSError):
                self._size = os.fstat(self._descriptor).st_size
            raise
        self._written += written

    def _is_open(self) -> bool:
        """Whether the next line can go where the last one went.

        As `is_still`, with one look at the file for both questions: this is on every event's way.

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
        if status.st_ino != file.inode or status.st_dev != file.device or status.st_size != self._size:
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
            with self._alone_with_sync(LOCK_SECONDS):
                if end <= self._unsynced:  # first: a later segment may have been flushed since
                    _raise(errno.EIO)
                if self._synced < end:
                    self._flush()
        except OSError as error:
            raise SpoolError(error.errno or errno.EAGAIN, error.strerror or "locked") from error

    @contextlib.contextmanager
    def _alone_with_sync(self, seconds: float) -> Iterator[None]:
        lock = self._sync_lock
        if not lock.acquire(timeout=seconds):
            raise TimeoutError
        try:
            yield
        finally:
            with contextlib.suppress(RuntimeError):  # a child forked in between has nothing to give back
                lock.release()

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
                file, flags = file_of(descriptor), flags_of(descriptor)
                draft.rename(self._directory / name)
                if self._durable:
                    _flush_directory(self._directory)
            except OSError:
                os.close(descriptor)
                draft.unlink(missing_ok=True)
                raise
            self._descriptor, self._file, self._flags, self._size = descriptor, file, flags, 0

    def _close(self, seconds: float = LOCK_SECONDS) -> None:
        if self._descriptor < 0:
            return
        with self._alone_with_sync(seconds):
            try:
                if self._durable:
                    self._flush()
            except OSError:
                pass  # whoever waits for it is told
            descriptor, self._descriptor = self._descriptor, -1
            self._size = 0
            self._flush_failed = False
        if not is_still(descriptor, self._file) or flags_of(descriptor) != self._flags:
            return
        with contextlib.suppress(OSError):  # said: closing alone would leave it to a child that has a copy
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _raise(number: int) -> NoReturn:
    raise OSError(number, os.strerror(number))


def _flush_directory(directory: Path) -> None:
    """Make a new file's name outlive a loss of power."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
