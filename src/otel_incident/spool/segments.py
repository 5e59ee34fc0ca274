"""Segments: append-only files of lines, one writer each, that outlive the process that wrote them.

A line is written with one `write` before the host's call returns, so that a kill of the process loses
nothing: what the kernel has taken, it keeps. A writer holds a lock on its segment for as long as it lives;
whoever can take that lock knows that the segment is complete, and may delete it once it was delivered.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import time
from typing import TYPE_CHECKING, Final, NamedTuple, final

from otel_incident.guard import HostLock
from otel_incident.spool.forks import forget_in_children

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEGMENTS: Final = "segments"
"""The folder of a destination that segments are in."""

SUFFIX: Final = ".jsonl"
SEGMENT_BYTES: Final = 4 * 2**20
"""A segment that has grown to this is followed by the next, so that what was delivered can be deleted."""


class SpoolError(OSError):
    """A line could not be kept: the disk is full, the directory read-only or gone."""


@final
class SegmentWriter:
    """The segment of this process; a forked child gets one of its own with its first line.

    Args:
        directory: Where segments are; it exists and is ours.
        durable: Whether a line is also flushed to the disk, which outlives a loss of power.
        now: The clock, ns since the epoch.
    """

    __slots__ = (
        "__weakref__",
        "_descriptor",
        "_directory",
        "_durable",
        "_lock",
        "_now",
        "_pid",
        "_size",
        "_synced",
    )

    def __init__(
        self, directory: Path, *, durable: bool = False, now: Callable[[], int] = time.time_ns
    ) -> None:
        self._directory = directory
        self._durable = durable
        self._now = now
        self._lock = HostLock()
        self._descriptor = -1
        self._size = 0
        self._synced = 0
        self._pid = 0
        forget_in_children(self)

    def append(self, line: bytes) -> None:
        """Keep one line.

        Raises:
            SpoolError: It could not be kept; nothing of it is left in the segment.
        """
        try:
            with self._lock:
                if self._pid != os.getpid():
                    self._open()
                elif self._size >= SEGMENT_BYTES:
                    self._close()
                    self._open()
                descriptor, before = self._descriptor, self._size
                self._write(descriptor, line, before)
                self._size = end = before + len(line)
            if self._durable:
                self._sync(descriptor, end)
        except OSError as error:
            raise SpoolError(error.errno, error.strerror) from error

    def close(self) -> None:
        """Let go of the segment: it is complete."""
        with self._lock:
            if self._pid == os.getpid():
                self._close()

    def _write(self, descriptor: int, line: bytes, before: int) -> None:
        if os.write(descriptor, line) != len(
            line
        ):  # the disk is full: half a line would swallow the next one
            os.ftruncate(descriptor, before)
            raise SpoolError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _sync(self, descriptor: int, end: int) -> None:
        """Flush up to a line's end; what another thread's flush has covered meanwhile is not flushed again."""
        with self._lock:
            if self._synced < end or self._descriptor != descriptor:
                target = self._size
                os.fdatasync(self._descriptor)
                self._synced = target

    def forget(self) -> None:
        """In a forked child: close the parent's segment, whose lock must not live on here."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
        self._descriptor, self._pid = -1, 0

    def _open(self) -> None:
        name = f"{self._now():020d}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        draft = self._directory / f".{name}"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(draft, flags, 0o600)
        try:
            # without a lock, or seen before it is locked, it would be taken for complete and deleted
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(self._directory / name)
        except OSError:
            os.close(descriptor)
            draft.unlink(missing_ok=True)
            raise
        self._descriptor, self._size, self._synced, self._pid = descriptor, 0, 0, os.getpid()

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
        self._descriptor, self._pid = -1, 0


class Lines(NamedTuple):
    """Lines of a segment, and where the next one begins."""

    lines: list[bytes]
    end: int


@final
class Segment:
    """A segment as its readers see it.

    Args:
        path: Its file.
    """

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The file's name; segments are in the order of their names."""
        return self.path.name

    @property
    def created(self) -> int:
        """When its first line was written, ns since the epoch."""
        digits = self.name.partition("-")[0]
        return int(digits) if digits.isdigit() else 0

    def size(self) -> int:
        """Bytes; 0 if it is gone."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, offset: int, count: int, limit: int) -> Lines:
        """Complete lines from an offset on, at most so many and at most so many bytes (but one at least)."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return Lines([], offset)
        try:
            taken = os.pread(descriptor, limit, offset)
            while taken and b"\n" not in taken:  # a line longer than the limit
                more = os.pread(descriptor, limit, offset + len(taken))
                if not more:
                    return Lines([], offset)
                taken += more
        finally:
            os.close(descriptor)
        lines = taken.splitlines(keepends=True)[:count]
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        return Lines(lines, offset + sum(map(len, lines)))

    def is_complete(self) -> bool:
        """Whether nobody writes to it any more."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return True

    def delete(self) -> None:
        """Remove it; whoever calls has seen that it is complete and delivered."""
        self.path.unlink(missing_ok=True)


def segments_in(directory: Path) -> list[Segment]:
    """The segments of a directory, the oldest first."""
    try:
        paths = sorted(path for path in directory.iterdir() if path.name[0] != "." and path.suffix == SUFFIX)
    except FileNotFoundError:
        return []
    return [Segment(path) for path in paths]
