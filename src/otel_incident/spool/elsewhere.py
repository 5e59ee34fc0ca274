"""What waits in another place of the same spool, because its directory was private before, or was not.

A directory that is this user's alone is used itself, another one by a folder of our own in it. A `chmod`
between two runs makes the one of the other, and what waits in the former place would be delivered by nobody.
So whoever starts takes it over: segments keep their names, and each exporter how far it has got and what it
has set aside.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Final

from otel_incident.guard import say
from otel_incident.spool.cursors import Cursor
from otel_incident.spool.lease import Lease
from otel_incident.spool.quarantine import Quarantine
from otel_incident.spool.segments import SEGMENTS, segments_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from otel_incident.spool.segments import Segment


_OPEN: Final = "others may write there"


def take_over(places: Iterable[Path], directory: Path, names: Sequence[str]) -> None:
    """Move what nobody writes to or delivers any more; one line names a place from which it cannot be moved.

    Args:
        places: Where it may wait; those of other users, and those that are not there, are passed over.
        directory: Where it is to wait, which no thread of this process delivers from yet.
        names: The exporters'.
    """
    for place in places:
        if place == directory or not _waits(place, names):
            continue
        try:
            problem = _take_over(place, directory, names)
        except OSError as error:
            problem = os.strerror(error.errno) if error.errno else type(error).__name__
        if problem:
            say(
                "Log records wait in %s and cannot be moved to %s (%s): they stay there, and every start "
                "tries again.",
                place,
                directory,
                problem,
            )


def _waits(place: Path, names: Sequence[str]) -> bool:
    """Whether something waits in a place of this user's, or is set aside there."""
    try:
        return _owner(place) == _owner(place / SEGMENTS) == os.geteuid() and (
            any(segment.size() for segment in segments_in(place / SEGMENTS))
            or any(_quarantine(place, name).all_files() for name in names)
        )
    except OSError:  # nothing is there, or it is somebody else's
        return False


def _quarantine(place: Path, name: str) -> Quarantine:
    return Quarantine(place / f"{name}.quarantine")


def _owner(path: Path) -> int:
    return path.lstat().st_uid


def _is_safe(path: Path) -> bool:
    """Whether a path is no link, and nobody else can have changed what is there."""
    status = path.lstat()
    return not stat.S_ISLNK(status.st_mode) and not stat.S_IMODE(status.st_mode) & 0o022


def _take_over(place: Path, directory: Path, names: Sequence[str]) -> str:
    """Move what can be moved; why something cannot, "" where there is no such thing."""
    if not _is_safe(place) or not _is_safe(place / SEGMENTS):
        return _OPEN
    with contextlib.ExitStack() as held:
        if not all(_take(held, place, name) for name in names):
            return ""  # somebody delivers it from there
        before = {name: Cursor(place / f"{name}.cursor") for name in names}
        left = _undelivered(place, before.values())
        safe = [segment for segment in left if _is_safe(segment.path)]
        for name in names:
            # who delivers there now keeps his own cursor: then it gets again what it has had of these
            if _take(held, directory, name):
                _carry_over(before[name], Cursor(directory / f"{name}.cursor"), safe)
        for segment in safe:
            to = directory / SEGMENTS / segment.name
            if not to.exists():
                segment.path.rename(to)
        aside = [name for name in names if _quarantine(place, name).all_files()]
        moved = [name for name in aside if _is_own(place / f"{name}.quarantine")]
        for name in moved:
            _quarantine(directory, name).take_over(_quarantine(place, name))
    return "" if len(safe) == len(left) and moved == aside else _OPEN


def _is_own(path: Path) -> bool:
    return _owner(path) == os.geteuid() and _is_safe(path)


def _undelivered(place: Path, cursors: Collection[Cursor]) -> list[Segment]:
    """This user's segments to which nobody writes; of these, what all exporters have had is deleted."""
    found = []
    for segment in segments_in(place / SEGMENTS):
        if _owner(segment.path) != os.geteuid() or not segment.is_complete():
            continue
        if all(cursor.of(segment.name) >= segment.size() for cursor in cursors):
            segment.delete()
        else:
            found.append(segment)
    return found


def _take(held: contextlib.ExitStack, directory: Path, name: str) -> bool:
    lease = Lease(directory / f"{name}.lease")
    held.callback(lease.give_back)
    return lease.take()


def _carry_over(before: Cursor, after: Cursor, segments: Iterable[Segment]) -> None:
    """Note how far an exporter has got, before the segments are there."""
    for segment in segments:
        after.carry_over(before, segment.name)
    after.keep()
