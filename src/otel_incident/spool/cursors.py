"""How far each exporter has got in each segment, so that a restart goes on where the last process stopped.

Two small files for each exporter, overwritten in turn: a crash in the middle of one leaves the other. They
have their room from the beginning, since a full disk has none for a new file just when delivered segments are
about to be deleted. A cursor that was not written before a kill means that lines are delivered twice, never
that one is not delivered.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple, final

from otel_incident.spool.segments import FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

ROOM_BYTES: Final = 2**14
"""What each of the two files has from the beginning: enough for some 250 segments."""

_FILES: Final = 2
# Without a wait: a pipe in the place of a file would hold up whoever opens it, which is the host.
_SAFE: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# The trouble of the disk or of the directory, which whoever writes the segments tells of.
_PASSING: Final = FULL | {errno.ENOENT, errno.ENOTDIR, errno.EROFS}


class Unusable(NamedTuple):
    """A file that is there and cannot be used.

    Attributes:
        name: The file's, without its directory.
        reason: The operating system's words for why not.
    """

    name: str
    reason: str


@final
class Cursor:
    """The offsets of one exporter; whoever holds the lease writes them.

    Args:
        path: The files' common name; they end in `.0` and `.1`.
    """

    __slots__ = ("_number", "_offsets", "_paths", "unusable")

    def __init__(self, path: Path) -> None:
        self.unusable: Unusable | None = None
        """Which of the files is somebody else's, or none at all, and why."""
        self._paths = [path.with_name(f"{path.name}.{index}") for index in range(_FILES)]
        self.load()

    def load(self) -> None:
        """Read what is kept; files that cannot be read mean the beginning: twice is better than never."""
        self._number, self._offsets = max(map(self._read, self._paths), key=lambda kept: kept[0])

    def of(self, segment: str) -> int:
        """The offset up to which a segment was delivered."""
        return self._offsets.get(segment, 0)

    def move(self, segment: str, offset: int) -> None:
        """Note a delivery; `keep` makes it last."""
        self._offsets[segment] = offset

    def reserve(self) -> None:
        """Make the files with their room, if they are not there; whoever holds the lease may."""
        for path in self._paths:
            with contextlib.suppress(OSError):
                if not path.exists():
                    self._write(path, b"")

    def keep(self, make_room: Callable[[], bool] = bool) -> bool:
        """Write the offsets; False if that cannot be done now, which loses nothing.

        Args:
            make_room: Called where the disk is full; whether there is some room now.
        """
        number = self._number + 1
        data = b"%d %s" % (number, json.dumps(self._offsets, separators=(",", ":")).encode())
        line = b"%08x %s\n" % (zlib.crc32(data), data)
        path = self._paths[number % _FILES]
        try:
            try:
                self._write(path, line)
            except OSError as error:
                if error.errno not in FULL or not make_room():
                    raise
                self._write(path, line)
        except OSError:
            return False
        self._number = number
        return True

    def forget_all_but(self, segments: Iterable[str]) -> None:
        """Forget segments that are gone."""
        there = set(segments)
        self._offsets = {name: offset for name, offset in self._offsets.items() if name in there}

    def _write(self, path: Path, line: bytes) -> None:
        descriptor = self._open(path, os.O_WRONLY | os.O_CREAT)
        try:
            if os.fstat(descriptor).st_size < ROOM_BYTES:
                line = line.ljust(ROOM_BYTES)
            if os.pwrite(descriptor, line, 0) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)

    def _open(self, path: Path, flags: int) -> int:
        try:
            return _open_file(path, flags)
        except OSError as error:
            if error.errno not in _PASSING:
                self.unusable = Unusable(path.name, error.strerror or type(error).__name__)
            raise

    def _read(self, path: Path) -> tuple[int, dict[str, int]]:
        """The number and the offsets of one file; what is behind its first line is of before."""
        try:
            with os.fdopen(self._open(path, os.O_RDONLY), "rb") as file:
                check, _, data = file.readline().rstrip(b"\n").partition(b" ")
            number, _, offsets = data.partition(b" ")
            if int(check, 16) == zlib.crc32(data):
                return int(number), json.loads(offsets)
        except (OSError, ValueError):
            pass
        return 0, {}


def _open_file(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | _SAFE, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file")
