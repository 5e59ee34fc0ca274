"""What is kept while the disk cannot: lines in memory, bounded, and on disk as soon as that works again.

A full disk, a read-only or missing directory, a file system without locks: the host goes on, one line says
what that means for its events, and the exporters deliver from here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Final, final

from otel_incident.guard import HostLock, say
from otel_incident.spool.segments import SEGMENTS
from otel_incident.spool.writer import SegmentWriter, SpoolError
from otel_incident.state import make_private, own_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

AGAIN_SECONDS: Final = 1.0
"""So long after a failure the disk is tried again."""


@final
class Memory:
    """Lines for several exporters, in order.

    Args:
        names: The exporters'.
        most: How many lines; the oldest go first.
    """

    def __init__(self, names: Iterable[str], most: int) -> None:
        self.dropped = 0
        """How many lines went that some exporter had not delivered."""
        self._lock = HostLock()
        self._most = most
        self._delivered = dict.fromkeys(names, 0)
        self._lines: deque[tuple[int, bytes]] = deque()
        self._number = 0

    def __len__(self) -> int:
        """How many lines wait for any exporter."""
        return len(self._lines)

    def put(self, line: bytes) -> None:
        """Keep a line."""
        with self._lock:
            if len(self._lines) >= self._most:
                self._lines.popleft()
                self.dropped += 1
            self._number += 1
            self._lines.append((self._number, line))

    def waiting(self, name: str, count: int) -> list[tuple[int, bytes]]:
        """The oldest lines, with their numbers, that an exporter has not had."""
        with self._lock:
            done = self._delivered[name]
            return [each for each in self._lines if each[0] > done][:count]

    def delivered(self, name: str, number: int) -> None:
        """An exporter has had everything up to a number."""
        with self._lock:
            self._delivered[name] = max(number, self._delivered[name])
            done = min(self._delivered.values())
            while self._lines and self._lines[0][0] <= done:
                self._lines.popleft()

    def move(self, keep: Callable[[bytes], object]) -> None:
        """Give each line to somebody else, the oldest first, until that raises."""
        with self._lock:
            while self._lines:
                keep(self._lines[0][1])
                self._lines.popleft()


@final
class Store:
    """Keeps lines on disk, or in memory while that fails; never raises OSError.

    Args:
        directory: Of the spool; made if it is not there.
        names: The exporters'.
        durable: Whether a line is also flushed to the disk.
        most: How many lines memory holds.
        now: The clock, seconds; only differences count.
    """

    def __init__(
        self,
        directory: Path,
        names: Iterable[str],
        *,
        durable: bool = False,
        most: int = 2048,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.memory = Memory(names, most)
        self._now = now
        self._lock = HostLock()
        self._failing = False
        self._said = False  # whether the host's log was told of it
        self._again = 0.0
        self._pid = os.getpid()
        with contextlib.suppress(OSError):  # the first line will tell why
            directory = own_directory(directory)
            (directory / SEGMENTS).mkdir(mode=0o700, exist_ok=True)
        self.directory = directory
        self._writer = SegmentWriter(directory / SEGMENTS, durable=durable)
        self.is_busy = self._writer.is_busy
        """Whether some thread is writing a line."""

    def keep(self, line: bytes) -> None:
        """Keep a line."""
        if not self._failing:
            try:
                self._writer.append(line)
            except SpoolError as error:
                self._keep_in_memory(line, error)
            return
        self._keep_in_memory(line, None)

    def settle(self) -> None:
        """Put on disk what is in memory, if that works again and is due."""
        if self._failing or self._pid != os.getpid():
            with self._lock:
                self._settle()

    def close(self) -> None:
        """Put on disk what is in memory, and let go of the segment."""
        with self._lock:
            self._again = 0.0
            self._settle()
        self._writer.close()

    def _keep_in_memory(self, line: bytes, error: SpoolError | None) -> None:
        with self._lock:
            self._forget_parents()
            self.memory.put(line)
            if error is not None:
                self._fail(self._reason(error))
            self._settle()

    def _settle(self) -> None:
        self._forget_parents()
        if not self._failing or self._now() < self._again:
            return
        try:
            self._make()
            self.memory.move(self._writer.append)
        except OSError as error:
            self._fail(error)
            return
        self._failing = False
        if self._said:
            self._said = False
            say("Log records are kept on disk again.")

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

    def _fail(self, error: OSError) -> None:
        self._failing = True
        if error.errno == errno.EBUSY:  # a signal handler has come between a line's beginning and its end
            return
        self._again = self._now() + AGAIN_SECONDS
        if not self._said:
            self._said = True
            say(
                "Log records cannot be kept on disk (%s): until that works again they wait in memory, of "
                "which a kill of the process leaves nothing. This is said once. The spool is %s.",
                os.strerror(error.errno) if error.errno else type(error).__name__,
                self.directory,
            )

    def _forget_parents(self) -> None:
        """In a forked child: what the parent has in memory, the parent delivers."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self.memory.move(lambda _: None)
