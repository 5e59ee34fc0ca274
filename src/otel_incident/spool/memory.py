"""What is kept while the disk cannot: lines in memory, bounded, and on disk as soon as that works again.

A full disk, a read-only or missing directory, a file system without locks: the host goes on, one line says
what that means for its events, and the exporters deliver from here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final, final

from otel_incident.guard import HostLock, say
from otel_incident.spool.segments import SEGMENTS, flush_directory
from otel_incident.spool.writer import SegmentWriter, SpoolError
from otel_incident.state import make_private, own_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

AGAIN_SECONDS: Final = 1.0
"""So long after a failure the disk is tried again."""

CLOSE_SECONDS: Final = 1.0
"""At its end a process moves what is in memory to disk for at most about so long."""

LENT_SECONDS: Final = 10.0
"""So long an attempt keeps the lines that it tries from the disk; as many as an exporter waits by default."""

_PORTION: Final = 256
"""So many lines the sender's thread moves to disk at once; one flush is for all of them."""

_HOSTS_PORTION: Final = 32
"""So many are moved in a call of the host's, which they hold up."""


@final
class Memory:
    """Lines for several exporters, in order.

    Args:
        names: The exporters'.
        most: How many lines; the oldest go first.
        now: The clock, seconds; only differences count.
    """

    def __init__(self, names: Iterable[str], most: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self.dropped = 0
        """How many lines went that some exporter had not delivered."""
        self.in_use = False
        """Whether lines are to be put here: those before them may still be here."""
        self._lock = HostLock()  # for a moment only: nobody waits for a disk with it
        self._most = most
        self._now = now
        self._delivered = dict.fromkeys(names, 0)
        self._lines: deque[tuple[int, bytes]] = deque()
        self._number = 0
        self._leaving = 0  # up to here lines are on their way to somebody else
        self._lent: dict[str, float] = {}  # the exporters that try lines of these, and since when

    def __len__(self) -> int:
        """How many lines wait for any exporter."""
        return len(self._lines)

    def put(self, line: bytes) -> bool:
        """Keep a line; whether there was room for it, else the oldest goes."""
        with self._lock:
            room = len(self._lines) < self._most
            if not room:
                # what is leaving is not lost, so it is not what goes
                first = list(islice(self._lines, _PORTION))  # at once: a signal handler may put one, too
                stays = sum(number <= self._leaving for number, _ in first)
                if stays < len(self._lines):
                    del self._lines[stays]
                    self.dropped += 1
            self._number += 1
            self._lines.append((self._number, line))
            self.in_use = True
            return room

    def waiting(self, name: str, count: int) -> list[tuple[int, bytes]]:
        """The oldest lines, with their numbers, that an exporter has not had."""
        with self._lock:
            done = self._delivered[name]
            lines = list(self._lines)  # at once: a signal handler may put one, too
            return [each for each in lines if each[0] > done][:count]

    def lend(self, name: str) -> int:
        """Let an exporter try lines: until it gives them back none moves, which it would be sent twice.

        Returns:
            Up to which number; 0 if there are none, or the oldest are on their way to somebody else.
        """
        with self._lock:
            if self._leaving or not self._lines:
                self._lent.pop(name, None)
                return 0
            self._lent[name] = self._now()
            return self._lines[-1][0]

    def give_back(self, name: str) -> None:
        """An exporter has noted what became of its attempt."""
        self._lent.pop(name, None)

    def take_back(self) -> None:
        """Nobody's attempt is waited for any more: the process ends."""
        self._lent.clear()

    def delivered(self, name: str, number: int) -> None:
        """An exporter has had everything up to a number."""
        with self._lock:
            self._delivered[name] = max(number, self._delivered[name])
            self._let_go(min(self._delivered.values()))

    def move(self, keep: Callable[[list[bytes]], int], count: int) -> int:
        """Give the oldest lines to somebody else; one thread at a time.

        None while an exporter tries some of them, unless that takes long or memory is half full: a line that
        arrives twice is better than one that a kill, or the bound, takes.

        Args:
            keep: Takes lines and says how many, from the first on, it has; it may raise.
            count: How many at most.

        Returns:
            How many were taken.
        """
        try:
            with self._lock:
                lines = [] if self._is_lent() else list(islice(self._lines, min(count, _PORTION)))
                self._leaving = lines[-1][0] if lines else 0
            taken = keep([line for _, line in lines]) if lines else 0
            with self._lock:
                if taken:
                    self._let_go(lines[taken - 1][0])
                self._leaving = 0
        finally:
            self._leaving = 0
        return taken

    def end(self) -> bool:
        """Use it no longer, if nothing waits; whether that is so."""
        with self._lock:
            self.in_use = bool(self._lines)
            return not self.in_use

    def clear(self) -> None:
        """Forget all lines."""
        with self._lock:
            self._lines.clear()
            self._leaving = 0
            self._lent.clear()  # the attempts are the parent's

    def _is_lent(self) -> bool:
        """Whether somebody's attempt is to be waited for."""
        recent = self._now() - LENT_SECONDS
        # at once: the exporters' threads give back meanwhile
        return 2 * len(self._lines) < self._most and any(
            since > recent for since in list(self._lent.values())
        )

    def _let_go(self, number: int) -> None:
        while self._lines and self._lines[0][0] <= number:
            self._lines.popleft()


@final
class Store:
    """Keeps lines on disk, or in memory while that fails; never raises OSError.

    Whoever moves lines from memory to disk holds up nobody who has a line: that one goes to memory then.

    Args:
        directory: Of the spool; made if it is not there.
        names: The exporters'.
        durable: Whether a line is also flushed to the disk.
        most: How many lines memory holds.
        now: The clock, seconds; only differences count.
        describe: Writes down in the directory what it is, if that is not done; OSError if it cannot.
    """

    def __init__(
        self,
        directory: Path,
        names: Iterable[str],
        *,
        durable: bool = False,
        most: int = 2048,
        now: Callable[[], float] = time.monotonic,
        describe: Callable[[Path], object] = bool,
    ) -> None:
        self.memory = Memory(names, most, now=now)
        self._most = most
        self._now = now
        self._noting = HostLock()  # for the next one
        self._said: set[str] = set()  # what the host's log was told of this outage
        self._again = 0.0
        self._begin()
        with contextlib.suppress(OSError):  # the first line will tell why
            asked = (directory, *directory.parents)
            new = [each.parent for each in asked if not each.exists()] if durable else []
            directory = own_directory(directory)
            (directory / SEGMENTS).mkdir(mode=0o700, exist_ok=True)
            for each in (directory, directory.parent, *new) if durable else ():
                flush_directory(each)  # what lies in a directory is as safe as its name
            describe(directory)
        self.directory = directory
        self._describe = describe
        self._writer = SegmentWriter(directory / SEGMENTS, durable=durable)
        self.is_busy = self._writer.is_busy
        """Whether some thread is writing a line."""

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._moving = threading.RLock()  # of whoever moves lines; not waited for by a host
        self._is_moving = False  # the same thread may come back, in a signal handler: not for the same lines

    def keep(self, line: bytes) -> None:
        """Keep a line."""
        error: OSError | None = None
        if not self.memory.in_use:
            try:
                self._writer.append(line)
            except OSError as raised:  # no SpoolError where a lock could not be had
                error = raised
            else:
                return
        self._forget_parents()
        room = self.memory.put(line)
        if error is not None:
            self._fail(self._reason(error))
        if not room:
            self._say_once(
                "Memory is full of log records that cannot be kept on disk (%d): the oldest go, and are "
                "counted as memory_full. This is said once.",
                self._most,
            )
        self._settle(_HOSTS_PORTION)

    def settle(self) -> None:
        """Put on disk what is in memory, if that works again and is due; for a thread of ours."""
        self._forget_parents()
        for _ in range(self._most // _PORTION + 1):  # and not for as long as more comes
            if not self._settle(_PORTION):
                break

    def close(self) -> None:
        """Put on disk what is in memory, for `CLOSE_SECONDS`, and let go of the segment."""
        self._forget_parents()
        self._again = 0.0
        deadline = self._now() + CLOSE_SECONDS
        while self._settle(_PORTION, CLOSE_SECONDS) and self._now() < deadline:
            pass
        with contextlib.suppress(SpoolError):  # a flush that hangs: the segment is complete with the process
            self._writer.close(CLOSE_SECONDS)

    def _settle(self, count: int, seconds: float = 0.0) -> bool:
        """Move some lines; whether there are more that can be moved at once."""
        # with nothing to write it cannot be said that the disk works again
        if not len(self.memory) or self._now() < self._again:
            return False
        moving = self._moving
        try:  # a signal handler that raises just when it is had must not leave it held
            if not moving.acquire(timeout=seconds) or self._is_moving:
                return False
            self._is_moving = True
            try:
                self._make()
                moved = self.memory.move(self._writer.append_all, count)
            finally:
                self._is_moving = False
        except OSError as error:
            self._fail(error)
            return False
        finally:
            try:  # noqa: SIM105  with a call before it, a handler could come between
                moving.release()
            except RuntimeError:  # it was not had
                pass
        if moved and self.memory.end():
            self._say_the_end()
            return False
        return bool(moved)

    def _reason(self, error: OSError) -> OSError:
        """Why there is no directory, where that is what it is."""
        if error.errno == errno.ENOENT:
            try:
                self._make()
            except OSError as reason:
                return reason
        return error

    def _make(self) -> None:
        make_private(self.directory / SEGMENTS)
        with contextlib.suppress(OSError):  # a full disk has room for lines sooner than for this
            self._describe(self.directory)

    def _fail(self, error: OSError) -> None:
        if error.errno == errno.EBUSY:  # a signal handler has come between a line's beginning and its end
            return
        self._again = self._now() + AGAIN_SECONDS
        self._say_once(
            "Log records cannot be kept on disk (%s): until that works again they wait in memory, of "
            "which a kill of the process leaves nothing. This is said once. The spool is %s.",
            os.strerror(error.errno) if error.errno else type(error).__name__,
            self.directory,
        )

    def _say_once(self, message: str, *arguments: object) -> None:
        """Say something of this outage, if that was not done."""
        with contextlib.suppress(TimeoutError), self._noting:
            if message in self._said:
                return
            self._said.add(message)
        say(message, *arguments)

    def _say_the_end(self) -> None:
        if not self._said:
            return
        with contextlib.suppress(TimeoutError), self._noting:
            said, self._said = self._said, set()
            if not said:  # another thread was quicker
                return
        say("Log records are kept on disk again.")

    def _forget_parents(self) -> None:
        """In a forked child: what the parent has in memory, the parent delivers."""
        if self._pid != os.getpid():
            self._begin()
            self._again = 0.0  # the disk may work here
            self.memory.clear()
            self.memory.in_use = False
