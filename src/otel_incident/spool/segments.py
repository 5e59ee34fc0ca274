"""Segments: append-only files of lines, one writer each, that outlive the process that wrote them.

A writer holds a lock on its segment for as long as it lives; whoever can take that lock knows that the
segment is complete, and may delete it once it was delivered.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
from typing import TYPE_CHECKING, Final, NamedTuple, final

from otel_incident.forks import no_fork

if TYPE_CHECKING:
    from pathlib import Path

SEGMENTS: Final = "segments"
"""The folder of a destination that segments are in."""

SUFFIX: Final = ".jsonl"

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What a disk without room says."""

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


class Lines(NamedTuple):
    """Lines of a segment, and where the next one begins."""

    lines: list[bytes]
    end: int


@final
class Segment:
    """A segment as its readers see it. Methods raise OSError where it cannot be read; gone is empty.

    Args:
        path: Its file.
    """

    __slots__ = ("name", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        """The file's name; segments are in the order of their names."""

    @property
    def created(self) -> int:
        """When its first line was written, ns since the epoch; 0 where its name does not say."""
        digits = self.name.partition("-")[0]
        return int(digits) if digits.isascii() and digits.isdigit() else 0

    def size(self) -> int:
        """Bytes; 0 if it is gone."""
        try:
            return self.path.lstat().st_size
        except FileNotFoundError:
            return 0

    def written(self) -> float | None:
        """When its last line was written, seconds since the epoch; None if it is gone."""
        try:
            return self.path.lstat().st_mtime
        except FileNotFoundError:
            return None

    def read(self, offset: int, count: int, limit: int) -> Lines:
        """Complete lines from an offset on, one at least: at most so many, and of about so many bytes."""
        try:
            descriptor = os.open(self.path, _READ)
        except FileNotFoundError:
            return Lines([], offset)
        chunk = min(limit, max(_CHUNK_BYTES, count * _USUAL_BYTES))
        taken, lines = b"", 0
        try:
            while not lines or (lines < count and len(taken) < limit):
                more = os.pread(descriptor, chunk, offset + len(taken))
                if not more:
                    break
                taken += more
                lines += more.count(b"\n")
        finally:
            os.close(descriptor)
        found = io.BytesIO(taken).readlines()[: min(lines, count)]  # the last one may have no end yet
        return Lines(found, offset + sum(map(len, found)))

    def rest(self, offset: int) -> bytes:
        """Everything from an offset on; of a complete segment, what its writer could not finish."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            file.seek(offset)
            return file.read()
        return b""

    def is_complete(self) -> bool:
        """Whether nobody writes to it any more; False where that cannot be said."""
        with no_fork():
            try:
                descriptor = os.open(self.path, _READ)
            except FileNotFoundError:
                return True
            except OSError:
                return False
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            except OSError:
                return False
            finally:
                os.close(descriptor)
        return True

    def delete(self) -> bool:
        """Remove it, which whoever calls may do if it is complete; whether it was still there."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True


_CHUNK_BYTES: Final = 2**16
_USUAL_BYTES: Final = 768


def flush_directory(directory: Path) -> None:
    """Make the names in a directory outlive a loss of power.

    Raises:
        OSError: It cannot be opened or flushed.
    """
    with no_fork():
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def segments_in(directory: Path) -> list[Segment]:
    """The segments of a directory, the oldest first; none if it is gone.

    Raises:
        OSError: It cannot be listed.
    """
    return [Segment(directory / name) for name in _names(directory) if name[0] != "."]


def drafts_in(directory: Path) -> list[Segment]:
    """Segments that their writers have not begun to use; of a writer that was killed they stay."""
    return [Segment(directory / name) for name in _names(directory) if name[0] == "."]


def _names(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return sorted(
                entry.name
                for entry in entries
                if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False)
            )
    except FileNotFoundError:
        return []
