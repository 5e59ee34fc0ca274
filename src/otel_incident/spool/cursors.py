"""How far each exporter has got in each segment, so that a restart goes on where the last process stopped.

Two small files for each exporter, overwritten in turn: a crash in the middle of one leaves the other. They
have their room from the beginning, since a full disk has none for a new file just when delivered segments are
about to be deleted. A cursor that was not written before a kill means that lines are delivered twice, never
that one is not delivered.

What was set aside while lines before it still wait is noted beside the offset, since the offset cannot pass
those. So is, before a line goes into quarantine, where it will stand there: after a kill in between it is
looked for there, and not set aside a second time.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from otel_incident.spool.segments import FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

ROOM_BYTES: Final = 2**14
"""What each of the two files has from the beginning: enough for some 250 segments."""

_FILES: Final = 2
_ASIDE: Final = "aside"  # beside the names of segments, of which none is like these
_BEGUN: Final = "begun"
# Without a wait: a pipe in the place of a file would hold up whoever opens it, which is the host.
_SAFE: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# Of this, and of a directory in which no file can be seen, whoever writes the segments tells.
_OF_THE_DISK: Final = FULL | {errno.EROFS}


class Unusable(NamedTuple):
    """A file that is there and cannot be used.

    Attributes:
        name: The file's, without its directory.
        reason: The operating system's words for why not.
    """

    name: str
    reason: str


class Begun(NamedTuple):
    """A line that is being set aside.

    Attributes:
        segment: The segment that it is in.
        start: Where it begins there.
        end: Where it ends.
        file: The file of the quarantine that takes it, by its name.
        at: Where it begins in that.
    """

    segment: str
    start: int
    end: int
    file: str
    at: int


class _Kept(NamedTuple):
    """What one of the two files says."""

    number: int = 0
    offsets: Mapping[str, int] = {}
    aside: Mapping[str, Mapping[int, int]] = {}
    begun: Begun | None = None


@final
class Cursor:
    """The offsets of one exporter; whoever holds the lease writes them.

    Args:
        path: The files' common name; they end in `.0` and `.1`.
    """

    __slots__ = ("_aside", "_number", "_offsets", "_paths", "begun", "unusable")

    def __init__(self, path: Path) -> None:
        self.begun: Begun | None = None
        """The line that is being set aside, or was when a process ended."""
        self.unusable: Unusable | None = None
        """Which of the files is somebody else's, or none at all, and why."""
        self._paths = [path.with_name(f"{path.name}.{index}") for index in range(_FILES)]
        self.load()

    def load(self) -> None:
        """Read what is kept; files that cannot be read mean the beginning: twice is better than never."""
        kept = max(map(self._read, self._paths), key=lambda kept: kept.number)
        self._number, self.begun = kept.number, kept.begun
        self._offsets = dict(kept.offsets)
        self._aside = {segment: dict(spans) for segment, spans in kept.aside.items()}

    def of(self, segment: str) -> int:
        """The offset up to which a segment was delivered or set aside."""
        return self._offsets.get(segment, 0)

    def aside(self, segment: str) -> Mapping[int, int]:
        """What of a segment was set aside behind the offset: where each stretch of lines begins and ends."""
        return self._aside.get(segment, {})

    def waits(self, segment: str, offset: int) -> bool:
        """Whether the line that begins at an offset waits."""
        return offset >= self.of(segment) and not any(
            start <= offset < end for start, end in self.aside(segment).items()
        )

    def left(self, segment: str, size: int) -> int:
        """How many bytes of a segment wait.

        Args:
            segment: Its name.
            size: Its bytes.
        """
        aside = sum(end - start for start, end in self.aside(segment).items())
        return max(0, size - self.of(segment) - aside)

    def move(self, segment: str, offset: int) -> None:
        """Note a delivery; `keep` makes it last."""
        for start, end in sorted(self.aside(segment).items()):
            if start <= offset:
                offset = max(offset, end)
        self._offsets[segment] = offset
        self._note(segment, {start: end for start, end in self.aside(segment).items() if start > offset})

    def set_aside(self, segment: str, start: int, end: int) -> None:
        """Note that a line is in quarantine; `keep` makes it last."""
        self.begun = None
        if start <= self.of(segment):
            self.move(segment, max(end, self.of(segment)))
            return
        spans = dict(self.aside(segment))
        end = spans.pop(end, end)
        before = next((first for first, last in spans.items() if last == start), start)
        spans[before] = end
        self._note(segment, spans)

    def carry_over(self, other: Cursor, segment: str) -> None:
        """Note of a segment what another cursor says of it."""
        if other.of(segment):
            self._offsets[segment] = other.of(segment)
        self._note(segment, dict(other.aside(segment)))
        if other.begun is not None and other.begun.segment == segment:
            self.begun = other.begun

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
        state: dict[str, Any] = dict(self._offsets)
        if self._aside:
            state[_ASIDE] = {segment: sorted(spans.items()) for segment, spans in self._aside.items()}
        if self.begun is not None:
            state[_BEGUN] = self.begun
        data = b"%d %s" % (number, json.dumps(state, separators=(",", ":")).encode())
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
        self._aside = {name: spans for name, spans in self._aside.items() if name in there}

    def _note(self, segment: str, spans: dict[int, int]) -> None:
        if spans:
            self._aside[segment] = spans
        else:
            self._aside.pop(segment, None)

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
            # what is there although it was not is what another process has just made
            if error.errno not in {errno.ENOENT, *_OF_THE_DISK} and os.path.lexists(path):
                self.unusable = Unusable(path.name, error.strerror or type(error).__name__)
            raise

    def _read(self, path: Path) -> _Kept:
        """What one file says; what is behind its first line is of before."""
        try:
            with os.fdopen(self._open(path, os.O_RDONLY), "rb") as file:
                check, _, data = file.readline().rstrip(b"\n").partition(b" ")
            number, _, state = data.partition(b" ")
            if int(check, 16) == zlib.crc32(data):
                return _kept(int(number), json.loads(state))
        except (OSError, ValueError, TypeError, AttributeError):  # or of a release that writes it otherwise
            pass
        return _Kept()


def _kept(number: int, state: dict[str, Any]) -> _Kept:
    aside = {segment: dict(spans) for segment, spans in state.pop(_ASIDE, {}).items()}
    begun = state.pop(_BEGUN, None)
    offsets = {segment: int(offset) for segment, offset in state.items()}
    return _Kept(number, offsets, aside, begun and Begun(*begun))


def _open_file(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | _SAFE, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file")
