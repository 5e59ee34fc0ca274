"""One spool: what keeps records on disk, and a thread for each exporter that delivers them from there.

The public processor is one of these with one exporter; the events' own pipeline is one with as many exporters
as the operator has named, each of which gets every record and holds up no other.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

from otel_incident.child_ends import at_end_of_child
from otel_incident.ending import ending
from otel_incident.forks import forget_in_children, notice_fork
from otel_incident.guard import say, swallow
from otel_incident.spool.elsewhere import take_over
from otel_incident.spool.lines import LineWriter
from otel_incident.spool.memory import Store
from otel_incident.spool.sender import Sender
from otel_incident.spool.waiting import Waiting, observed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord

    from otel_incident.spool.attempts import Attempts
    from otel_incident.spool.retention import Bounds, Reason
    from otel_incident.spool.sender import Figures

EXIT_SECONDS: Final = 2.0
"""At exit at most this long is spent on delivery; the rest waits for the next start."""

_NS: Final = 1e9


@final
@dataclass(frozen=True, slots=True)
class Outlet:
    """One exporter of a spool.

    Attributes:
        name: Names its cursor, lease and quarantine on disk, and is what log lines call it.
        build: Makes its attempts; called in the thread that delivers, and again after a fork.
        delay: Seconds from a record until a batch leaves.
        batch_size: How many records go at once.
    """

    name: str
    build: Callable[[], Attempts]
    delay: float = 1.0
    batch_size: int = 512


@final
@dataclass(frozen=True, slots=True)
class Status:
    """How it stands with one exporter of a spool, and what this process has done for it.

    Attributes:
        waiting_bytes: On disk, of all processes.
        oldest_seconds: For how long the oldest record of these has been waiting; 0.0 where there is none.
        in_memory: Records that the disk had no room for.
        delivered: Records taken by the endpoint.
        rejected: Of these, refused by a partial success.
        retried: Attempts that were not the first.
        quarantined: Records set aside.
        dropped: Records that went undelivered, by reason.
        outage: What the last attempt was answered, "" where it was delivered; or why there is no exporter, or
            why nothing leaves from disk.
    """

    waiting_bytes: int = 0
    oldest_seconds: float = 0.0
    in_memory: int = 0
    delivered: int = 0
    rejected: int = 0
    retried: int = 0
    quarantined: int = 0
    dropped: dict[Reason, int] = field(default_factory=dict)
    outage: str = ""


@final
class Spool:
    """Keeps records in a directory and delivers them. Nothing here raises into the host.

    Args:
        directory: Where they wait; made, and for this user alone, if it is not there.
        outlets: Where they go; the same for every process that shares the directory.
        sync: Whether each record is also flushed to the disk (`fdatasync`), to outlive a loss of power.
        queue_size: How many records wait in memory while the disk fails.
        bounds: How much may wait on disk, and for how long; the oldest goes first.
        exit_seconds: How long its shutdown may take; by default `EXIT_SECONDS`.
        describe: Writes down in the directory what it is, if that is not done; also when it is made anew.
        elsewhere: Other directories in which records of the same outlets may wait: they are taken over.
    """

    def __init__(
        self,
        directory: Path,
        outlets: Sequence[Outlet],
        *,
        sync: bool = False,
        queue_size: int = 2048,
        bounds: Bounds | None = None,
        exit_seconds: float | None = None,
        describe: Callable[[Path], object] = bool,
        elsewhere: Iterable[Path] = (),
    ) -> None:
        names = [outlet.name for outlet in outlets]
        self._most = queue_size
        self._store = Store(directory.absolute(), names, durable=sync, most=queue_size, describe=describe)
        try:
            take_over(elsewhere, self._store.directory, names)
        except Exception as error:  # noqa: BLE001  the boundary
            swallow("pipeline", error)
        self._lines = LineWriter()
        self._not_encodable = 0
        self._ended = 0
        self._exit_seconds = EXIT_SECONDS if exit_seconds is None else exit_seconds
        self._is_end_heard_of = False  # in this process, which may be one that ends without `atexit`
        self.gave_up = False
        """Whether its shutdown left something undelivered, or the last delivery failed."""
        self._senders = [
            Sender(
                self._store,
                outlet.name,
                names,
                outlet.build,
                delay=outlet.delay,
                batch_size=outlet.batch_size,
                bounds=bounds,
                durable=sync,
            )
            for outlet in outlets
        ]
        forget_in_children(self)

    @property
    def directory(self) -> Path:
        """Where records wait: the directory asked for, or one of this user's own in it."""
        return self._store.directory

    def deliver_leftovers(self) -> None:
        """Deliver what a former process has left, if it has left something."""
        try:
            for sender in self._senders:
                sender.begin()
        except Exception as error:  # noqa: BLE001  the boundary
            swallow("pipeline", error)

    def nudge(self) -> None:
        """Deliver what waits now rather than when it is due."""
        for sender in self._senders:
            if not sender.is_empty():
                sender.nudge()

    def take(self, record: ReadableLogRecord | ReadWriteLogRecord) -> None:
        """Keep a record as it is now."""
        try:
            line = self._lines.line(record)
        except Exception as error:  # noqa: BLE001  the boundary: a value that is no value
            notice_fork()
            self._not_encodable += 1
            swallow("pipeline", error)
        else:
            self.take_line(line)

    def take_line(self, line: bytes) -> None:
        """Keep the line of a record."""
        kept = False
        try:
            notice_fork()
            if not self._is_end_heard_of:
                self._is_end_heard_of = True
                at_end_of_child(self.shutdown)
            self._store.keep(line)
            kept = True
            for sender in self._senders:
                sender.notify()
        except Exception as error:  # noqa: BLE001  the boundary: a thread that cannot start
            self._not_encodable += not kept
            swallow("pipeline", error)

    def shutdown(self) -> None:
        """Deliver what waits for a bounded time; the rest stays for the next start."""
        try:
            notice_fork()
            self._store.close()
            # all of them first, since the bound holds for all together
            bounds = [sender.end(self._exit_seconds * ending.left) for sender in self._senders]
            begun = time.monotonic()
            for sender, bound in zip(self._senders, bounds, strict=True):
                sender.close(max(0.0, bound - (time.monotonic() - begun)))
            self._store.memory.take_back()
            self._store.settle()  # what an attempt had in its hands when the store was closed
            self.gave_up = any(sender.failing() or not sender.is_empty() for sender in self._senders)
            self._say_what_is_lost()
        except Exception as error:  # noqa: BLE001  the boundary
            swallow("pipeline", error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until nothing waits; False after `timeout_millis`, or if an attempt failed."""
        notice_fork()
        deadline = time.monotonic() + timeout_millis / 1000
        # not `all` of a generator: a dead exporter must not keep another from its flush
        flushed = [sender.flush(max(0.0, deadline - time.monotonic())) for sender in self._senders]
        return all(flushed)

    def delivers(self, name: str) -> bool:
        """Whether this process delivers to an exporter what is on disk; of several that write one does."""
        return any(sender.has_lease for sender in self._senders if sender.name == name)

    def status(self) -> dict[str, Status]:
        """How it stands, by exporter."""
        return {sender.name: self._status(sender) for sender in self._senders}

    def figures(self) -> dict[str, Figures]:
        """What this process has done, by exporter; nothing is looked at on disk."""
        return {sender.name: sender.figures() for sender in self._senders}

    def dropped(self) -> dict[Reason, int]:
        """Records that went and that some exporter had not delivered, each once, by reason."""
        dropped = self._lost()
        for sender in self._senders:
            if sender.is_own:
                dropped.update(sender.dropped)
        return dict(+dropped)

    def backlog(self) -> dict[str, Waiting]:
        """What is this process's to deliver: its memory, and what is on disk where it delivers that.

        So the sum over all processes is what waits. An exporter is absent that another process delivers to.
        """
        found = {}
        for sender in self._senders:
            lines = [line for _, line in self._store.memory.waiting(sender.name, self._most)]
            on_disk = Waiting()
            if sender.is_own and sender.has_lease:
                with contextlib.suppress(OSError):
                    on_disk = sender.on_disk()
            elif not lines:
                continue
            since = min(filter(None, (on_disk.here_since, observed(lines[0]) if lines else 0)), default=0)
            found[sender.name] = Waiting(on_disk.bytes + sum(map(len, lines)), since)
        return found

    def forget(self) -> None:
        """In a forked child: what the parent has lost, the parent counts."""
        self._is_end_heard_of = False
        self._not_encodable = self._ended = self._store.memory.dropped = 0

    def _lost(self) -> Counter[Reason]:
        """What went before it came to any exporter."""
        return Counter(
            {
                "memory_full": self._store.memory.dropped,
                "not_encodable": self._not_encodable,
                "ended": self._ended,
            }
        )

    def _status(self, sender: Sender) -> Status:
        oldest = 0
        with contextlib.suppress(OSError):
            oldest = sender.on_disk().here_since
        return Status(
            waiting_bytes=sender.waiting_bytes(),
            oldest_seconds=max(0.0, time.time() - oldest / _NS) if oldest else 0.0,
            in_memory=len(self._store.memory),
            dropped=dict(sender.dropped + self._lost()),
            outage=sender.outage(),
            **sender.figures()._asdict(),
        )

    def _say_what_is_lost(self) -> None:
        """What neither the disk nor an endpoint has taken ends with the process."""
        before, self._ended = self._ended, len(self._store.memory)
        if self._ended > before:
            say(
                "%d log records ended with the process: they could be neither kept on disk nor delivered.",
                self._ended,
            )
