"""Lines that can never be delivered, kept and not deleted: a person decides what becomes of them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import re
import secrets
import time
from typing import TYPE_CHECKING, Final, final

from otel_incident.forks import no_fork
from otel_incident.spool.segments import FULL, SUFFIX, flush_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

RESERVE_BYTES: Final = 2**20
"""Held on the disk, so that a full one does not keep a line in the way of all others."""

_RESERVE: Final = ".reserve"
_UNSAFE: Final = re.compile(r"[^0-9A-Za-z]+", re.ASCII)
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_TAKEN: Final = ".taken"  # a file that is on its way back into the queue, or was taken over


class QuarantineFullError(OSError):
    """Nothing more may be set aside until a person has decided about what is there."""


@final
class Quarantine:
    """The quarantine of one exporter.

    Args:
        directory: Where it is; made with the first line.
        now: The clock, seconds since the epoch.
        most: Bytes that may be set aside; nothing is ever deleted to make room.
        durable: Whether what is set aside is flushed to the disk, since its segment may be deleted next.
    """

    def __init__(
        self,
        directory: Path,
        now: Callable[[], float] = time.time,
        *,
        most: float = math.inf,
        durable: bool = False,
    ) -> None:
        self._directory = directory
        self._now = now
        self._most = most
        self._durable = durable
        self._reserve = directory.parent / _RESERVE

    def reserve(self) -> None:
        """Hold room for what may have to be kept when there is none, if the disk has twice as much left."""
        with contextlib.suppress(OSError):
            if self._reserve.exists():
                return
            disk = os.statvfs(self._reserve.parent)
            if disk.f_bavail * disk.f_frsize < 2 * RESERVE_BYTES:  # the host's records need it more
                return
            draft = self._reserve.with_name(f"{_RESERVE}.{secrets.token_hex(4)}")
            try:
                draft.touch(0o600)
                draft.write_bytes(bytes(RESERVE_BYTES))
                draft.replace(self._reserve)
            finally:
                draft.unlink(missing_ok=True)

    def make_room(self) -> bool:
        """Give up the room that is held, for what has to be kept now; whether there was any."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    def put(
        self, lines: Iterable[bytes], reason: str, begin: Callable[[str, int], object] | None = None
    ) -> None:
        """Keep lines under a reason from a closed set, which is in the file's name.

        Args:
            lines: Which.
            reason: Why they can never be delivered.
            begin: Called just before they are written with the file's name and where in it they will stand.

        Raises:
            QuarantineFullError: As much is set aside as may be.
            OSError: They could not be kept, not even in the room that is held for them.
        """
        data = b"".join(map(_whole, lines))
        if self._size() + len(data) > self._most:
            raise QuarantineFullError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        day = time.strftime("%Y%m%d", time.gmtime(self._now()))
        name = f"{day}-{_UNSAFE.sub('-', reason).strip('-').lower() or 'unknown'}{SUFFIX}"
        try:
            self._append(name, data, begin)
        except OSError as error:
            if error.errno not in FULL or not self.make_room():
                raise
            self._append(name, data, begin)

    def holds(self, line: bytes, name: str, at: int) -> bool:
        """Whether a line stands where `begin` was told that it would.

        Args:
            line: Which.
            name: The file's, whether or not it is on its way back into the queue.
            at: Where in it.
        """
        whole = _whole(line)
        for path in self.all_files():
            if path.name == name or path.name.startswith(f"{name}."):
                with contextlib.suppress(OSError), path.open("rb") as file:
                    file.seek(at)
                    if file.read(len(whole)) == whole:
                        return True
        return False

    def files(self) -> list[Path]:
        """What is kept, the oldest day first."""
        return sorted(self._directory.glob(f"*{SUFFIX}"))

    def all_files(self) -> list[Path]:
        """The same, and what is on its way back into the queue."""
        return [*self.files(), *self._taken()]

    def counts(self) -> dict[str, int]:
        """Lines by reason; those on their way back into the queue count until they are there."""
        found: dict[str, int] = {}
        for path in self.all_files():
            with contextlib.suppress(FileNotFoundError):  # they went back meanwhile
                count = sum(1 for _ in _lines(path))
                found[reason_of(path)] = found.get(reason_of(path), 0) + count
        return found

    def requeue(self, keep: Callable[[bytes], bool], reason: str = "") -> int:
        """Send lines again; a crash meanwhile means that lines are sent twice.

        Args:
            keep: Takes a line into the queue, or says that it has to stay here; OSError if it cannot.
            reason: Only lines that were set aside for this one; "" means all.

        Returns:
            How many lines went back.

        Raises:
            OSError: What `keep` raises, or that a line which has to stay cannot be written.
        """
        for path in self.files():
            if reason in {"", reason_of(path)}:
                with contextlib.suppress(FileNotFoundError):  # somebody else does the same
                    path.rename(path.with_name(f"{path.name}.{secrets.token_hex(4)}{_TAKEN}"))
        return sum(self._give_back(path, keep) for path in self._taken() if reason in {"", reason_of(path)})

    def take_over(self, other: Quarantine) -> None:
        """Move here what another quarantine of the same user keeps, for the same reasons.

        Raises:
            OSError: That cannot be done; what was not moved stays there.
        """
        for path in other.all_files():
            self._make()
            # a name that nobody writes to: one of the same day and reason may be here, or be made just now
            path.rename(self._directory / f"{path.name}.{secrets.token_hex(4)}{_TAKEN}")

    def _give_back(self, path: Path, keep: Callable[[bytes], bool]) -> int:
        count = 0
        with contextlib.suppress(FileNotFoundError), no_fork(), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # whoever is writing to it ends first
            if not os.fstat(file.fileno()).st_nlink:  # somebody else has given it back meanwhile
                return 0
            stays = []
            for line in file:
                if keep(line):
                    count += 1
                else:
                    stays.append(line)
            if stays:
                self._append(f"{path.name.partition(SUFFIX)[0]}{SUFFIX}", b"".join(map(_whole, stays)))
            path.unlink()
        return count

    def _size(self) -> int:
        """Bytes that are set aside; not looked at where there is no bound."""
        total = 0
        for path in self.all_files() if self._most < math.inf else ():
            with contextlib.suppress(FileNotFoundError):
                total += path.lstat().st_size
        return total

    def _taken(self) -> list[Path]:
        return sorted(self._directory.glob(f"*{_TAKEN}"))

    def _append(self, name: str, data: bytes, begin: Callable[[str, int], object] | None = None) -> None:
        self._make()
        with no_fork():
            descriptor = os.open(self._directory / name, _FLAGS, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                status = os.fstat(descriptor)
                if not status.st_nlink:  # it went back into the queue meanwhile
                    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                before = status.st_size
                if begin is not None:
                    begin(name, before)
                try:
                    written = os.write(descriptor, data)
                finally:
                    if os.fstat(descriptor).st_size != before + len(data):
                        os.ftruncate(descriptor, before)
                if written != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if self._durable:
                    os.fdatasync(descriptor)
                    if not before:
                        flush_directory(self._directory)
            finally:
                os.close(descriptor)

    def _make(self) -> None:
        with contextlib.suppress(FileExistsError):
            self._directory.mkdir(mode=0o700)
            if self._durable:
                flush_directory(self._directory.parent)


def reason_of(path: Path) -> str:
    """Why the lines of a file were set aside, as its name has it."""
    return path.name.partition(SUFFIX)[0].partition("-")[2]


def _whole(line: bytes) -> bytes:
    return line if line.endswith(b"\n") else line + b"\n"


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file
