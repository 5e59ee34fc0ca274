"""The state directory: what must outlive a restart, kept so that several workers agree on it.

Two files: `diagnostic-id`, the id of the installation, and `key`, the secret of the id hashes. Each
is made once: written beside its place, flushed to disk, and linked into place, so that workers which
start at the same moment all read the same one and a crash leaves none half-written. A file that cannot
be read as what it should be is set aside and kept, never deleted; what is no file is left alone.

This happens on the host's thread, at the first event. So the lock around it is waited for shortly and then
done without, which splits no identity: a link is made by one alone, whoever holds the lock, and the others
read what he linked. Likewise a broken file is set aside by the one who links it under its number. To keep
the event until the lock is free would need a thread; an identity made up for the meantime would be a second
one. Where a file system has no links the lock is all there is.

What is ours is 0700 / 0600. A directory that is not ours alone (a mounted volume, 2775) is not
changed: we make a 0700 folder of our own in it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
from typing import TYPE_CHECKING, Final, final

from otel_incident.errors import StateDirectoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OWN_FOLDER: Final = "otel-incident"
"""Our own folder in a directory that is not ours alone."""

# File systems that end with the container or the machine, as /proc/self/mountinfo names them.
_EPHEMERAL: Final = frozenset({"overlay", "tmpfs", "ramfs", "aufs"})
_LOCK_SECONDS: Final = 0.05  # for each of the two files, on the host's thread
_MOST_BYTES: Final = 4096  # of a file of ours, which holds some forty
_READING: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_ESCAPED: Final = re.compile(
    r"\\([0-7]{3})"
)  # how mountinfo writes a space, a tab, a line break, a backslash


@final
class StateDirectory:
    """One installation's state directory; nothing is touched before the first read.

    Args:
        configured: The directory as the operator or the default names it.
    """

    __slots__ = ("_configured", "_path")

    def __init__(self, configured: Path) -> None:
        self._configured = configured
        self._path: Path | None = None

    @property
    def configured(self) -> Path:
        """The directory as configured, whether or not it exists."""
        return self._configured

    def read_or_make(self, name: str, make: Callable[[], bytes], is_valid: Callable[[bytes], bool]) -> bytes:
        """The content of the file `name`; made if there is none, set aside and made if it is not valid.

        Args:
            name: The file's name in the directory.
            make: Makes a new content.
            is_valid: Says whether a content is one.

        Returns:
            The same bytes for every process that shares the directory.

        Raises:
            StateDirectoryError: The directory cannot be used; the message says which and why.
        """
        try:
            path = self._open() / name
            content = _read(path)
            if content is not None and is_valid(content):
                return content
            with _locked(path.with_name(".lock")) as alone:
                content = _read(path)
                if content is not None and is_valid(content):
                    return content
                with _draft(path, make()) as draft:
                    if content is not None:
                        _set_aside(path, is_valid, alone=alone)
                    content = _place(draft, path, alone=alone)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise StateDirectoryError(
                f"The state directory {self._configured} cannot be used ({why}): make it writable for this "
                "process, or set OTEL_INCIDENT_STATE_DIR to a directory that is."
            ) from error
        if is_valid(content):
            return content
        raise StateDirectoryError(
            f"The state directory {self._configured} cannot be used: another process writes something else "
            f"into {name}."
        )

    def peek(self, name: str, is_valid: Callable[[bytes], bool]) -> bytes | None:
        """The content of the file `name` if it is there and valid; makes and changes nothing.

        Root sees another user's: what a service of that user would read there.
        """
        for folder in reversed(places_of(self._configured)):
            with contextlib.suppress(OSError):
                owner = folder.stat().st_uid if os.geteuid() == 0 else os.geteuid()
                content = _read(folder / name) if _is_private(folder, owner) else None
                if content is not None and is_valid(content):
                    return content
        return None

    def _open(self) -> Path:
        if self._path is None:
            self._path = own_directory(self._configured)
        return self._path


def own_directory(configured: Path) -> Path:
    """A 0700 directory of this user: the configured one if it is (or can be made) ours, else one in it.

    Raises:
        OSError: Neither can be had.
    """
    with contextlib.suppress(FileExistsError):  # a file on the way: the next line says it better
        configured.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        configured.mkdir(mode=0o700)
    if _is_private(configured, os.geteuid()):
        return configured
    folder = configured / OWN_FOLDER
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():  # root could use it all the same
        raise PermissionError(errno.EPERM, f"{OWN_FOLDER} in it is somebody else's")
    if stat.S_IMODE(status.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def make_private(path: Path) -> None:
    """Make a directory for this user alone, and so whatever is missing on the way to it.

    For what somebody has removed from under a running process: with the umask's mode the next start would
    find a directory that is not private, and use another one.

    Raises:
        OSError: It cannot be made.
    """
    try:
        path.mkdir(mode=0o700)
    except FileNotFoundError:
        if path.parent == path:
            raise
        make_private(path.parent)
        with contextlib.suppress(FileExistsError):  # another process was quicker
            path.mkdir(mode=0o700)
    except OSError:
        if not path.is_dir():
            raise


def places_of(configured: Path) -> tuple[Path, Path]:
    """Where what is kept in a configured directory can be found: in itself, or in our own folder in it."""
    return configured, configured / OWN_FOLDER


def _is_private(path: Path, owner: int) -> bool:
    status = path.stat()
    return status.st_uid == owner and not stat.S_IMODE(status.st_mode) & 0o077


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock on a file, or not, if it cannot be had in time; which of the two is yielded."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        alone = _try_lock(descriptor)
        while not alone and time.monotonic() < deadline:
            time.sleep(0.01)
            alone = _try_lock(descriptor)
        yield alone
    finally:
        # closing alone would leave it locked for as long as a child lives that was forked meanwhile
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Whether there is nothing left to wait for: the lock is ours, or the file system has none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _read(path: Path) -> bytes | None:
    """The beginning of a file, None where there is none; a link, a pipe or a device is an OSError."""
    try:
        descriptor = os.open(path, _READING)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.EINVAL, f"{path.name} in it is a link") from error
        raise
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.read(descriptor, _MOST_BYTES)
    finally:
        os.close(descriptor)
    raise OSError(errno.EINVAL, f"{path.name} in it is no regular file")


@contextlib.contextmanager
def _draft(path: Path, content: bytes) -> Iterator[Path]:
    """A whole file beside its place, on the disk; gone afterwards."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{time.time_ns()}")
    try:
        _write(draft, content)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    """Make a file that nobody else has made, and flush it to disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _set_aside(path: Path, is_valid: Callable[[bytes], bool], *, alone: bool) -> None:
    """Take a file from its place that is not valid; who links it under its number does, the others wait."""
    try:
        number = path.lstat().st_ino
        aside = path.with_name(f"{path.name}.unreadable-{number}")
        if _is_usable(path, is_valid):
            return
        os.link(path, aside)
        if aside.lstat().st_ino != number:  # repaired in between: this is another one
            aside.unlink()
            return
    except FileNotFoundError:
        return
    except FileExistsError:
        if not alone:  # else somebody died between his two steps
            _wait_for_repair(path, is_valid)
            return
    except OSError:  # a file system without hard links
        path.rename(aside)
        return
    path.unlink(missing_ok=True)


def _wait_for_repair(path: Path, is_valid: Callable[[bytes], bool]) -> None:
    deadline = time.monotonic() + _LOCK_SECONDS
    while path.exists() and not _is_usable(path, is_valid) and time.monotonic() < deadline:
        time.sleep(0.005)


def _is_usable(path: Path, is_valid: Callable[[bytes], bool]) -> bool:
    content = _read(path)
    return content is not None and is_valid(content)


def _place(draft: Path, path: Path, *, alone: bool) -> bytes:
    """Put a draft in its place; what is there then, which another process may have put there first."""
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links: under the lock a rename is as good
        if alone:
            draft.rename(path)
        else:
            with contextlib.suppress(FileExistsError):
                _write(path, _read(draft) or b"")
    return _read(path) or b""


def ephemeral_mount(path: Path, mountinfo: str) -> str:
    """The type of the file system that holds a path if it does not outlive its container, else "".

    Args:
        path: An absolute path; it need not exist.
        mountinfo: The text of `/proc/self/mountinfo`.
    """
    best, kind = "", ""
    for line in mountinfo.splitlines():
        fields, separator, rest = line.partition(" - ")
        columns = fields.split(" ")
        if not separator or len(columns) < 5:  # noqa: PLR2004  mount id, parent, device, root, mount point
            continue
        point = _ESCAPED.sub(lambda escape: chr(int(escape[1], 8)), columns[4])
        inside = str(path) == point or str(path).startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # the longest wins, and of two on one point the later
            best, kind = point, rest.split(" ")[0]
    return kind if kind in _EPHEMERAL else ""
