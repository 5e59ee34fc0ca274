"""`otel-incident spool drain`: delivers what waits now, with the hosts' own senders, and says what is left.

Where a host runs and delivers, it has the lease: its progress is watched, and nothing is sent twice. Nothing
is dropped here for its age or its size.
"""

from __future__ import annotations

import contextlib
import logging
import math
import shlex
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

from otel_incident.processors import outlet_of
from otel_incident.spool.lease import is_held
from otel_incident.spool.retention import Bounds
from otel_incident.spool.segments import segments_in
from otel_incident.spool.spool import Spool
from otel_incident.spool.waiting import count_records, waiting
from otel_incident.spool_cli.matching import destinations_of, refusal
from otel_incident.spool_cli.progress import Progress
from otel_incident.spool_cli.words import printable, records, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_incident.destinations import Destination
    from otel_incident.spool_cli.folders import Environment, Folder

STILL_SECONDS: Final = 30.0
"""So long without progress, and what is left waits for later."""

_LOOK_SECONDS: Final = 0.1
_AGAIN_SECONDS: Final = 1.0  # after an attempt that failed
_NOTHING_DROPPED: Final = Bounds(2**63, math.inf)


@final
@dataclass(slots=True)
class _Drained:
    """A folder that is being delivered."""

    folder: Folder
    spool: Spool
    destinations: list[Destination]
    due: float = 0.0
    mark: dict[tuple[str, str], int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def why(self, name: str) -> str:
        """Why what waits for an exporter does; "" where it is on its way."""
        outage = self.folder.lease_problem(name) or self.spool.status()[name].outage
        if outage:
            return outage
        # it is held from here, too, and until the sender has begun by nobody
        by_another = is_held(self.folder.lease(name)) and not self.spool.delivers(name)
        return "a running process delivers it" if by_another else ""

    def keep_reasons(self) -> None:
        """Remember them for the end."""
        self.reasons = {each.name: self.why(each.name) for each in self.destinations}

    def left(self) -> dict[str, int]:
        """Bytes that wait, by exporter, where any do."""
        left = {}
        for each in self.destinations:
            with contextlib.suppress(OSError):  # the folder is gone
                left[each.name] = waiting(self.folder.segments, self.folder.cursor(each.name)).bytes
        return {name: count for name, count in left.items() if count}

    def has_moved(self) -> bool:
        """Whether anybody has delivered something since the last look; what is new does not count."""
        mark: dict[tuple[str, str], int] = {}
        with contextlib.suppress(OSError):
            for segment in segments_in(self.folder.segments):
                for each in self.destinations:
                    if done := self.folder.cursor(each.name).of(segment.name):
                        mark[each.name, segment.name] = done
        moved, self.mark = mark != self.mark, mark
        return moved

    def nudge(self, now: float) -> None:
        """Have it tried again: at once while it works, else after a moment."""
        if now >= self.due:
            self.spool.nudge()
            failing = any(each.outage for each in self.spool.status().values())
            self.due = now + (_AGAIN_SECONDS if failing else 0.0)


def drain(
    environment: Environment,
    folders: Sequence[Folder],
    timeout: float | None,
    say: Callable[[str], None],
    complain: Callable[[str], None],
    *,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Deliver what waits, until nothing does, or for as long as it is worth it.

    Args:
        environment: That of the one who asks.
        folders: From which.
        timeout: Seconds for all of it; None: as long as there is progress.
        say: Prints what was done.
        complain: Prints what was not.
        now: The clock, seconds; only differences count.
        pause: Waits so many seconds.

    Returns:
        Whether all has left.
    """
    if environment.off:
        complain(f"{environment.off}. So nothing is delivered from here.")
        return False
    taken, refused = _taken(environment, folders, complain)
    if not taken:
        if not refused:
            say("Nothing waits.")
        _tell_of_the_rest(folders, taken, say)
        return not refused
    for each in taken:
        each.has_moved()
        each.spool.nudge()
    with _progress() as progress:
        try:
            why = _until(taken, timeout, progress, now, pause)
        except KeyboardInterrupt:
            why = "it was interrupted"
        for each in taken:
            each.keep_reasons()  # the end interrupts an attempt, whose answer is none then
            each.spool.shutdown()
    told = [_told(each, why, say, complain) for each in taken]
    _tell_of_the_rest(folders, taken, say)
    return all(told) and not refused


def _taken(
    environment: Environment, folders: Sequence[Folder], complain: Callable[[str], None]
) -> tuple[list[_Drained], bool]:
    """The folders that are delivered from here, and whether another one has something that waits."""
    taken: list[_Drained] = []
    refused = False
    for folder in folders:
        if not folder.unreadable and not _waits(folder):
            continue
        found = destinations_of(folder, environment)
        line = _refusal(folder, found)
        if line:
            complain(line)
            refused = True
            continue
        outlets = [outlet_of(each) for each in found]
        taken.append(_Drained(folder, Spool(folder.path, outlets, bounds=_NOTHING_DROPPED), found))
    return taken, refused


def _waits(folder: Folder) -> bool:
    with contextlib.suppress(OSError):
        return any(waiting(folder.segments, folder.cursor(name)).bytes for name in folder.targets)
    return False


def _refusal(folder: Folder, found: list[Destination]) -> str:
    if not folder.is_own:
        return folder.of_other("drain")
    if folder.unreadable:
        return f"{folder.shown} cannot be read ({folder.unreadable})."
    if folder.mode & 0o077:
        path = shlex.quote(str(folder.path))
        return f"{folder.shown} lets other users in, so no host delivers from it: run `chmod 700 {path}`."
    return "" if found else refusal(folder)


def _until(
    taken: list[_Drained],
    timeout: float | None,
    progress: Progress,
    now: Callable[[], float],
    pause: Callable[[float], None],
) -> str:
    """Deliver; why it ended before nothing waited."""
    begun = moved = now()
    while True:
        at = now()
        looks = [each.has_moved() for each in taken]
        if any(looks):
            moved = at
        if not any(each.left() for each in taken):
            return ""
        if timeout is not None and at - begun >= timeout:
            return f"{timeout:g} s have passed"
        if at - moved >= STILL_SECONDS:
            return f"there was no progress for {STILL_SECONDS:g} s"
        for each in taken:
            each.nudge(at)
        progress.show(_how_far(taken))
        pause(_LOOK_SECONDS)


def _how_far(taken: list[_Drained]) -> str:
    delivered = left = 0
    reasons: list[str] = []
    for each in taken:
        statuses = each.spool.status()
        for name, waits in each.left().items():
            left += waits
            reason = each.why(name)
            reasons += [reason] if reason and reason not in reasons else []
        delivered += sum(status.delivered for status in statuses.values())
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return f"{records(delivered)} delivered, {size(left)} wait{why}"


def _told(drained: _Drained, why: str, say: Callable[[str], None], complain: Callable[[str], None]) -> bool:
    """Say what became of a folder; whether all in it has left."""
    folder, statuses, left = drained.folder, drained.spool.status(), drained.left()
    done = not left
    delivered = sum(status.delivered for status in statuses.values())
    say(f"{folder.shown}: {records(delivered)} delivered{'; nothing waits' if done else ''}.")
    for each in drained.destinations:
        status = statuses[each.name]
        name = printable(each.name)
        if each.name in left:
            count = 0
            with contextlib.suppress(OSError):
                count = count_records(folder.segments, folder.cursor(each.name))
            reason = drained.reasons[each.name] or "it was still being delivered"
            verb = "waits" if count == 1 else "wait"
            complain(
                f"{folder.shown}: {records(count)} ({size(left[each.name])}) still {verb} for {name} at "
                f"{printable(each.shown) or 'its own endpoint'}: {reason}; {why}."
            )
        if status.rejected:
            complain(
                f"{folder.shown}: {records(status.rejected)} of those delivered to {name} refused for good."
            )
        if status.quarantined:
            done = False
            complain(
                f"{folder.shown}: {records(status.quarantined)} that {name} can never deliver set aside: "
                "`otel-incident spool status` says why, `otel-incident spool requeue` sends them again."
            )
    return done


def _tell_of_the_rest(
    folders: Sequence[Folder], taken: Sequence[_Drained], say: Callable[[str], None]
) -> None:
    """Say what was set aside before: it does not wait, and has not left either."""
    for folder in folders:
        if folder.unreadable or not folder.is_own:
            continue
        aside = 0
        with contextlib.suppress(OSError):
            aside = sum(sum(folder.quarantine(name).counts().values()) for name in folder.targets)
        for each in taken:
            if each.folder is folder:  # which was said
                aside -= sum(status.quarantined for status in each.spool.status().values())
        if aside > 0:
            say(
                f"{folder.shown}: {records(aside)} set aside before: `otel-incident spool status` says why, "
                "`otel-incident spool requeue` puts back what can be sent."
            )


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """The progress, with what the senders log meanwhile on lines of their own."""
    progress = Progress(sys.stderr)
    logger = logging.getLogger("otel_incident")
    before, logger.propagate = logger.propagate, False
    logger.addHandler(progress)
    try:
        yield progress
    finally:
        logger.removeHandler(progress)
        logger.propagate = before
        progress.clear()
