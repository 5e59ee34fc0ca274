"""Descriptors that stay open for long: they are ours only as long as nobody else has closed them.

A host that makes a daemon of itself closes every descriptor that it does not know. Its next files get those
numbers, and what is written to, locked or closed by such a number then is the host's.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_STANDARD = 3  # below it, what any code prints would go into the file


class File(NamedTuple):
    """What a descriptor stands for, and how it was opened.

    A file that is deleted leaves its inode to the next one, which may be the host's: ours are opened with
    flags that a host's files seldom have.
    """

    device: int
    inode: int
    flags: int

    def is_at(self, status: os.stat_result) -> bool:
        """Whether this is the file that was looked at, however it was opened."""
        return status.st_ino == self.inode and status.st_dev == self.device


def open_to_keep(path: Path, flags: int) -> int:
    """Open a file under a number that no standard stream has, readable and writable by its owner alone.

    A signal handler that raises just when the kernel has answered leaves it open: nobody knows its number.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = os.open(path, flags, 0o600)
    if descriptor >= _STANDARD:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _STANDARD)
    finally:
        os.close(descriptor)


def file_of(descriptor: int) -> File:
    """What a descriptor stands for now.

    Raises:
        OSError: It is closed.
    """
    status = os.fstat(descriptor)
    return File(status.st_dev, status.st_ino, fcntl.fcntl(descriptor, fcntl.F_GETFL))


def is_still(descriptor: int, file: File | None) -> bool:
    """Whether a descriptor stands for the file that it was opened for, as far as the kernel says."""
    try:
        return file_of(descriptor) == file
    except OSError as error:
        return error.errno != errno.EBADF  # a disk that fails has put nothing in its place
