"""The threads that deliver: one for each exporter, so that a dead one holds up no other.

A thread delivers from disk while its process has the lease of its exporter; otherwise it looks now and then
whether the lease is free. It is a daemon: a host's exit never waits for it longer than `close` says.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple, final

from otel_incident.ending import exit_has_begun
from otel_incident.guard import HostLock, swallow
from otel_incident.spool.backlog import Backlog, FullQuarantineError, NotKeptError
from otel_incident.spool.delivery import Delivery
from otel_incident.spool.giving_way import GivingWay
from otel_incident.spool.lease import Lease
from otel_incident.spool.making import Making, NotMadeError
from otel_incident.spool.pauses import Pauses
from otel_incident.spool.quarantine import Quarantine
from otel_incident.spool.reports import Reports
from otel_incident.spool.retention import Bounds
from otel_incident.spool.segments import SEGMENTS, segments_in
from otel_incident.spool.upkeep import Upkeep
from otel_incident.spool.waiting import waiting
from otel_incident.uwsgi import begin_in_workers, is_to_fork, say_without_threads

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from otel_incident.spool.attempts import Attempts
    from otel_incident.spool.memory import Store
    from otel_incident.spool.pauses import Awaited
    from otel_incident.spool.retention import Reason
    from otel_incident.spool.waiting import Waiting

LOOK_SECONDS: Final = 5.0
"""How often a process looks whether the lease is free, after its directory, and what others have written."""

_GLANCE_SECONDS: Final = 0.05  # another process may deliver, which nobody here is told


class Figures(NamedTuple):
    """What a process has done for an exporter.

    Attributes:
        delivered: Records taken by the endpoint.
        rejected: Of these, refused by a partial success.
        retried: Attempts that were not the first.
        quarantined: Records set aside.
    """

    delivered: int = 0
    rejected: int = 0
    retried: int = 0
    quarantined: int = 0


@final
class Sender:
    """Delivers one directory through one exporter, in a thread of its own.

    Args:
        store: What keeps the lines.
        name: The exporter's; names its cursor, lease and quarantine.
        others: The names of all exporters of this directory: a segment waits for each of them.
        build: Makes the attempts; called in the thread, and again in that of a forked child.
        delay: Seconds from an event until a batch leaves, so that more can join it.
        batch_size: How many records go at once.
        bounds: How much may wait on disk, and as much again in quarantine.
        durable: Whether what is set aside is flushed to the disk.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        others: Sequence[str],
        build: Callable[[], Attempts],
        *,
        delay: float = 1.0,
        batch_size: int = 512,
        bounds: Bounds | None = None,
        durable: bool = False,
    ) -> None:
        self.name = name
        self._store = store
        self._directory = store.directory
        self._others = [other for other in others if other != name]
        self._build = build
        self._delay = delay
        self._batch_size = batch_size
        self._bounds = bounds or Bounds()
        self._lease = Lease(self._directory / f"{name}.lease")
        self._quarantine = Quarantine(
            self._directory / f"{name}.quarantine", most=self._bounds.max_bytes, durable=durable
        )
        self._lock = HostLock()
        self._attempts: Attempts | None = None
        self._begin()

    def _begin(self) -> None:
        """Nothing is sent yet by this process."""
        self._pid = os.getpid()
        self._pauses = Pauses(lambda: self._safely(self._look))
        self._turned = threading.Condition()
        self._closing = self._interrupted = False
        self._paced = False  # an endpoint that refuses all is asked now and then
        self._deadline = self._not_before = 0.0
        self._thread: threading.Thread | None = None
        self._parents, self._attempts = self._attempts, None  # kept: a gRPC channel is not closed in a child
        self._reports = Reports(self.name)
        self._making = Making(self._build, self._reports)
        self.delivery: Delivery | None = None
        self._upkeep = Upkeep(
            self._store, self.name, self._others, self._lease, self._quarantine, self._bounds, self._reports
        )

    def notify(self) -> None:
        """Something waits; starts the thread, which a fork has not copied."""
        if self._thread is None or self._pid != os.getpid():
            if is_to_fork():
                begin_in_workers(self)
                return
            with self._lock:
                self._start()
            say_without_threads()  # now: a log handler may bring us here again
        if not self._pauses.wake.is_set():
            self._pauses.wake.set()

    def begin(self) -> None:
        """Deliver what waits, if something does."""
        if not self.is_empty():
            self.notify()

    def nudge(self) -> None:
        """Try now rather than when it is due, unless the endpoint has asked to wait."""
        self.notify()
        if time.monotonic() >= self._not_before:
            self._pauses.prod.set()

    def flush(self, seconds: float) -> bool:
        """Wait until nothing waits for this exporter, whoever delivers it.

        Returns:
            False if that takes longer, as soon as an attempt has failed, and at once where no thread can run
            yet: what waits is delivered later.
        """
        deadline = time.monotonic() + seconds
        if self.is_empty():
            return True
        self.notify()
        if self._thread is None:  # before uWSGI's workers are there
            return False
        failed = self._failed()
        if self._outage() and time.monotonic() < self._not_before:
            return False
        while not self.is_empty():
            self.notify()
            with self._turned:
                left = deadline - time.monotonic()
                if left <= 0 or self._failed() > failed or self._is_over():
                    return False
                self._pauses.prod.set()
                self._turned.wait(min(left, _GLANCE_SECONDS))
        return True

    def is_empty(self) -> bool:
        """Whether nothing waits for this exporter."""
        return not self._store.memory.waiting(self.name, 1) and not self.waiting()[1]

    @property
    def dropped(self) -> Counter[Reason]:
        """Records that went undelivered, by reason."""
        return self._upkeep.dropped

    @property
    def has_lease(self) -> bool:
        """Whether the segments were this process's to deliver, when it last looked."""
        return self._upkeep.has_lease

    def outage(self) -> str:
        """What the last attempt was answered, why there is no exporter, or why nothing leaves from disk."""
        answered = self._making.problem if self.delivery is None else self.delivery.outage.reason
        return answered or self._upkeep.unusable

    def failing(self) -> bool:
        """Whether the last attempt of this process failed."""
        return self._pid == os.getpid() and self._outage()

    @property
    def is_own(self) -> bool:
        """Whether what is counted here is of this process, and not of the one that it was forked from."""
        return self._pid == os.getpid()

    def figures(self) -> Figures:
        """What this process has done for the exporter."""
        delivery = self.delivery if self.is_own else None
        if delivery is None:
            return Figures()
        counts = delivery.counts
        return Figures(counts.delivered, counts.rejected, counts.retried, delivery.backlog.quarantined)

    def on_disk(self) -> Waiting:
        """What waits on disk for this exporter.

        Raises:
            OSError: The directory cannot be listed.
        """
        return waiting(self._directory / SEGMENTS, self._upkeep.cursor_of(self.name))

    def waiting(self) -> tuple[int, int]:
        """Of the oldest segment that waits for this exporter when it was begun, ns since the epoch; bytes."""
        cursor = self._upkeep.cursor_of(self.name)
        oldest = total = 0
        with contextlib.suppress(OSError):
            for segment in segments_in(self._directory / SEGMENTS):
                left = cursor.left(segment.name, segment.size())
                if left > 0:
                    oldest, total = oldest or segment.created, total + left
        return oldest, total

    def end(self, seconds: float) -> float:
        """Begin to end: what waits is tried for at most so long, not at all if the endpoint refused last.

        Returns:
            The same in seconds, by how much `close` has to wait.
        """
        with self._lock:
            if self._pid != os.getpid():
                self._begin()
            if self._thread is None:
                self._closing = True
                return 0.0
            bound = 0.0 if self._outage() else seconds
            self._deadline = time.monotonic() + bound
            self._closing = True
        self._pauses.prod.set()
        self._pauses.wake.set()
        return bound

    def close(self, seconds: float) -> None:
        """End, and wait for that for at most so long; what was not delivered stays for the next start."""
        thread = self._thread
        if thread is None or self._pid != os.getpid():
            return
        thread.join(seconds)
        if thread.is_alive() and self._attempts is not None:
            self._interrupted = True
            self._reports.say("outage", "no answer when the process ended")
            try:
                self._attempts.shutdown()  # interrupts it; the lease goes with the thread
            except Exception as error:  # noqa: BLE001  an exporter of anybody's; the host is about to end
                swallow("pipeline", error)

    def _start(self) -> None:
        if self._pid != os.getpid():
            self._begin()
        if self._thread is None and not self._closing:
            thread = threading.Thread(target=self._run, name=f"otel-incident-{self.name}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # what is kept waits for the next event, or for the next start
                if not exit_has_begun():  # Python 3.12 starts none then
                    self._reports.say("outage", "the process can start no thread")
                return
            self._thread = thread

    def _run(self) -> None:
        wait: float = 0.0
        while not self._closing:
            self._pause(wait)
            wait = self._safely(self._turn)
            with self._turned:
                if self._outage():
                    self._pauses.prod.clear()  # whoever waited for this attempt has had it
                if wait > 0:  # while more can go at once, whoever waits for the end need not look
                    self._turned.notify_all()
        while time.monotonic() < self._deadline and self._safely(self._turn) == 0.0:
            pass
        self._safely(self._last_tidy)
        self._upkeep.give_back()
        if self._attempts is not None:
            self._safely(self._end_exporter)
        with self._turned:
            self._turned.notify_all()

    def _safely(self, turn: Callable[[], float]) -> float:
        try:
            return turn()
        except NotMadeError:
            pass  # which was said
        except FullQuarantineError:
            self._reports.say("quarantine full")
        except NotKeptError:
            self._reports.say("not kept")
        except Exception as error:  # noqa: BLE001  this is the thread's boundary
            with contextlib.suppress(Exception):  # raised in tests only, where it would end the thread
                swallow("pipeline", error)
        return LOOK_SECONDS

    def _pause(self, wait: float) -> None:
        """Wait until something is due."""
        if wait <= 0 or self._closing:
            return
        if self._outage() or self._paced:
            # an event does not make an endpoint that is down answer sooner
            self._wait(self._pauses.prod, wait)
        elif self._wait(self._pauses.wake, wait) and not self._closing:
            self._wait(self._pauses.prod, self._delay)

    def _wait(self, awaited: Awaited, seconds: float) -> bool:
        return self._pauses.wait(awaited, seconds, LOOK_SECONDS)

    def _look(self) -> float:
        """Look after the directory, if that is due."""
        if self._upkeep.is_due(LOOK_SECONDS):
            self._upkeep.look(delivers=self.delivery is not None)
        return 0.0

    def _turn(self) -> float:
        """Make one attempt; returns how many seconds to wait then."""
        self._pauses.clear()
        self._store.settle()
        delivery = self._delivery()
        from_disk = self._upkeep.take_lease()
        due = delivery.step(from_disk=from_disk)
        self._paced = bool(due)
        now = time.monotonic()
        self._not_before = now + delivery.outage.wait
        if from_disk and (due is None or self._upkeep.is_due(LOOK_SECONDS)):
            self._upkeep.tidy()
        if not self._interrupted:  # else what the attempt ended with is our own doing
            self._reports.say_what_happened(delivery, self._upkeep.dropped)
        if due is not None:
            return due
        # whoever delivers looks as often as a batch would leave: nobody tells him that others have written
        return min(LOOK_SECONDS, max(self._delay, _GLANCE_SECONDS)) if from_disk else LOOK_SECONDS

    def _delivery(self) -> Delivery:
        if self.delivery is None:
            self._attempts = self._making()
            giving_way = GivingWay(self._store.is_busy)
            self.delivery = Delivery(
                Backlog(
                    self.name,
                    self._directory / SEGMENTS,
                    self._upkeep.cursor,
                    self._quarantine,
                    self._store.memory,
                    may_keep=self._lease.held,
                    giving_way=giving_way,
                ),
                self._attempts,
                batch_size=self._batch_size,
                giving_way=giving_way,
            )
        return self.delivery

    def _last_tidy(self) -> float:
        self._upkeep.tidy_at_the_end()
        return 0.0

    def _end_exporter(self) -> float:
        if self._attempts is not None:
            self._attempts.shutdown()
        return 0.0

    def _is_over(self) -> bool:
        return self._closing and (self._thread is None or not self._thread.is_alive())

    def _outage(self) -> bool:
        return self.delivery is not None and self.delivery.outage.attempts > 0

    def _failed(self) -> int:
        return 0 if self.delivery is None else self.delivery.counts.failed
