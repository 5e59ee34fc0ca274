"""A processor in memory where uWSGI is to fork: it needs a thread, so a worker makes it.

What came before is in the memory of every worker then. One of them delivers it: the first to read the one
byte in a pipe that all of them have.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from typing import TYPE_CHECKING, final

from otel_incident.forks import notice_fork
from otel_incident.guard import HostLock
from otel_incident.uwsgi import begin_in_workers, is_to_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk._logs import ReadableLogRecord

    from otel_incident.exporters import BoundedBatchProcessor


@final
class Handover:
    """Holds records until a processor can be made, then is that processor.

    What comes to the master once workers are there waits for its end.

    Args:
        build: Makes the processor; it starts a thread.
        lose: Is told of records that were lost: how many, and why.
        most: How many records are held; the oldest goes first.
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
        self._processor: BoundedBatchProcessor | None = None
        self._claim = -1  # where the byte is read, once something is held
        begin_in_workers(self)

    def take(self, record: ReadableLogRecord) -> None:
        """Take a record that is complete."""
        processor = self._processor
        if processor is None and not is_to_fork():
            self.begin()
            processor = self._processor
        if processor is not None:
            processor.take(record)
            return
        with self._lock:
            full = len(self._held) >= self._most
            if full:
                self._held.popleft()
            self._held.append(record)
            if self._claim < 0:
                self._claim = _one_byte()
        if full:
            self._lose(1, "its queue is full")

    def begin(self) -> None:
        """Make the processor, in a worker; it has what was held, if this is the first worker."""
        notice_fork()
        with self._lock:
            if self._processor is not None:
                return
            self._processor = processor = self._build()
            held, self._held = self._held, deque()
            if not self._is_first():
                return
        for each in held:
            processor.take(each)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what waits; False at once where nothing can be delivered yet."""
        if self._processor is None:
            return not self._held
        return self._processor.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Deliver what waits within the processor's bound, if no worker has had it, and end."""
        if self._processor is None and self._held:
            try:
                self.begin()
            except RuntimeError:  # Python starts no thread any more (3.12)
                self._lose(len(self._held), "uWSGI ended before a worker was there")
                self.gave_up = True
        if self._processor is not None:
            self._processor.shutdown()
            self.gave_up = self._processor.gave_up

    def _is_first(self) -> bool:
        """Whether nobody else has had what is held; true once in all processes."""
        if self._claim < 0:
            return True
        with contextlib.suppress(OSError):
            byte = os.read(self._claim, 1)
            os.close(self._claim)
            return byte != b""
        return False


def _one_byte() -> int:
    """A pipe's end at which one byte can be read, by one process."""
    read, write = os.pipe()
    os.write(write, b"1")
    os.close(write)
    return read
