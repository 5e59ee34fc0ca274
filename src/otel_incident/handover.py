"""A processor in memory where uWSGI is to fork: it needs a thread, so a worker makes it.

What came before is in the memory of every worker then, and in the master's, where more may come. Each record
is delivered by one of them: a number in a pipe that all of them have says how many have been taken.
"""

from __future__ import annotations

import os
import select
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final, final

from otel_incident.forks import notice_fork
from otel_incident.guard import HostLock
from otel_incident.uwsgi import begin_in_workers, is_to_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk._logs import ReadableLogRecord

    from otel_incident.exporters import BoundedBatchProcessor

_NUMBER_BYTES: Final = 8  # so few are read and written in one piece
_NUMBER_SECONDS: Final = 1.0  # who reads the number writes it back at once


@final
class Handover:
    """Holds records until a processor can be made, then is that processor.

    What comes to the master once workers are there waits for the next worker, or for the master's end.

    Args:
        build: Makes the processor; it starts a thread.
        lose: Is told of records that were lost: how many, and why.
        most: How many records are held; the oldest goes first, and counts as lost, whoever has taken it.
    """

    def __init__(
        self, build: Callable[[], BoundedBatchProcessor], lose: Callable[[int, str], None], most: int
    ) -> None:
        self.gave_up = False
        """Whether its shutdown left something undelivered, or the last delivery failed."""
        self._build = build
        self._lose = lose
        self._most = most
        self._lock = HostLock()
        self._held: deque[ReadableLogRecord] = deque()
        self._count = 0  # of records that ever came to be held; the last of them are
        self._pipe: _Number | None = None
        self._processor: BoundedBatchProcessor | None = None
        self._ended = False
        begin_in_workers(self)

    def take(self, record: ReadableLogRecord) -> None:
        """Take a record that is complete."""
        processor = self._processor
        if processor is None and not self._ended and not is_to_fork():
            self.begin()
            processor = self._processor
        if processor is not None:
            processor.take(record)
            return
        if self._ended:
            self._lose(1, "the process is ending")
            return
        with self._lock:
            full = len(self._held) >= self._most
            if full:
                self._held.popleft()
            self._held.append(record)
            self._count += 1
            if self._pipe is None:
                self._pipe = _Number()
        if full:
            self._lose(1, "its queue is full")

    def begin(self) -> None:
        """Make the processor, in a worker; it has what is held and was taken by no other process."""
        notice_fork()
        with self._lock:
            if self._processor is not None:
                return
            self._processor = processor = self._build()
            own = self._take_held()
        for each in own:
            processor.take(each)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what waits; False at once where nothing can be delivered yet."""
        if self._processor is None:
            return not self._held
        return self._processor.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Deliver within the processor's bound what waits, and what no worker has taken, and end."""
        self._ended = True
        if self._processor is None and self._held:
            try:
                self.begin()
            except RuntimeError:  # Python starts no thread any more (3.12)
                lost = len(self._take_held())
                if lost:
                    self._lose(lost, "uWSGI ended before a worker was there")
                self.gave_up = lost > 0
        if self._processor is not None:
            self._processor.shutdown()
            self.gave_up = self._processor.gave_up

    def _take_held(self) -> list[ReadableLogRecord]:
        """What is held and was taken by no other process; no other one will take it."""
        held, self._held = self._held, deque()
        if self._pipe is None:  # nothing is held, or no file can be opened: rather twice than never
            return list(held)
        number, self._pipe = self._pipe, None
        taken = number.replace(self._count)
        return list(islice(held, max(0, len(held) - (self._count - taken)), None))


@final
class _Number:
    """How many records were taken, in a pipe: one process at a time can have it."""

    def __init__(self) -> None:
        self._ends = read, write = os.pipe()
        self._files = self._open_there()
        os.set_blocking(read, False)
        os.write(write, (0).to_bytes(_NUMBER_BYTES))

    def replace(self, count: int) -> int:
        """Put this number in its place, unless it is the larger one, and let go of the pipe.

        Returns:
            The number that was there; 0 where nobody knows: better all of it twice than some of it never.
        """
        taken = 0
        try:
            if self._open_there() != self._files:
                return 0  # a host has closed what it does not know, and these are files of its own now
            read, write = self._ends
            taken = _number_in(read)
            os.write(write, max(taken, count).to_bytes(_NUMBER_BYTES))
        except OSError:  # it has closed them
            return taken
        for end in self._ends:
            os.close(end)
        return taken

    def _open_there(self) -> list[tuple[int, int]]:
        found = [os.fstat(end) for end in self._ends]
        return [(each.st_dev, each.st_ino) for each in found]


def _number_in(read: int) -> int:
    """The number, once whoever has it has put it back.

    Returns:
        0 if he was killed in between: better all of it twice than some of it never.
    """
    poll = select.poll()
    poll.register(read, select.POLLIN)
    while poll.poll(_NUMBER_SECONDS * 1000):
        try:
            return int.from_bytes(os.read(read, _NUMBER_BYTES))
        except BlockingIOError:  # another one was faster
            continue
    return 0
