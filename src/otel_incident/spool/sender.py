"""The threads that deliver: one for each exporter, so that a dead one holds up no other.

A thread delivers from disk while its process has the lease of its exporter; otherwise it looks now and then
whether the lease is free. It is a daemon: a host's exit never waits for it longer than `close` says. Here is
what the host's threads ask of it; what it does itself is in `turns`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, final

from otel_incident.ending import exit_has_begun
from otel_incident.guard import HostLock
from otel_incident.quiet import under_way
from otel_incident.spool.retention import Bounds
from otel_incident.spool.segments import SEGMENTS, segments_in
from otel_incident.spool.turns import GLANCE_SECONDS, Turns
from otel_incident.spool.waiting import waiting
from otel_incident.uwsgi import begin_in_workers, is_to_fork, say_without_threads

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from otel_incident.spool.attempts import Attempts
    from otel_incident.spool.memory import Store
    from otel_incident.spool.retention import Reason
    from otel_incident.spool.waiting import Waiting


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
        self._turns_of_a_process = partial(
            Turns,
            store,
            name,
            [other for other in others if other != name],
            build,
            delay=delay,
            batch_size=batch_size,
            bounds=bounds or Bounds(),
            durable=durable,
        )
        self._lock = HostLock()
        self._parents: list[Turns] = []
        self._begin()

    def _begin(self) -> None:
        """Nothing is sent yet by this process."""
        self._pid = os.getpid()
        self._turned = threading.Condition()
        self._deadline = 0.0
        self._thread: threading.Thread | None = None
        self._turns = self._turns_of_a_process()

    def _begin_in_child(self) -> None:
        """Begin anew, if this is a forked child of the process that has begun."""
        if not self.is_own:
            self._parents.append(self._turns)  # kept: a child closes no connection of those before it
            self._begin()

    def notify(self) -> None:
        """Something waits; starts the thread, which a fork has not copied."""
        if self._thread is None or not self.is_own:
            if is_to_fork():
                begin_in_workers(self)
                return
            with self._lock:
                self._start()
            say_without_threads()  # now: a log handler may bring us here again
        wake = self._turns.pauses.wake
        if not wake.is_set():
            wake.set()

    def begin(self) -> None:
        """Deliver what waits, if something does."""
        if not self.is_empty():
            self.notify()

    def nudge(self) -> None:
        """Try now rather than when it is due, unless the endpoint has asked to wait."""
        self.notify()
        if time.monotonic() >= self._turns.not_before:
            self._turns.pauses.prod.set()

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
        failed = self._turns.failed
        if self._turns.failing and time.monotonic() < self._turns.not_before:
            return False
        while not self.is_empty():
            self.notify()
            with self._turned:
                left = deadline - time.monotonic()
                if left <= 0 or self._turns.failed > failed or self._is_over():
                    return False
                self._turns.pauses.prod.set()
                self._turned.wait(min(left, GLANCE_SECONDS))
        return True

    def is_empty(self) -> bool:
        """Whether nothing waits for this exporter."""
        return not self._store.memory.waiting(self.name, 1) and not self.waiting_bytes()

    @property
    def dropped(self) -> Counter[Reason]:
        """Records that went undelivered, by reason."""
        return self._turns.upkeep.dropped

    @property
    def has_lease(self) -> bool:
        """Whether the segments were this process's to deliver, when it last looked."""
        return self._turns.upkeep.has_lease

    def outage(self) -> str:
        """What the last attempt was answered, why there is no exporter, or why nothing leaves from disk."""
        return self._turns.problem

    def failing(self) -> bool:
        """Whether the last attempt of this process failed."""
        return self.is_own and self._turns.failing

    @property
    def is_own(self) -> bool:
        """Whether what is counted here is of this process, and not of the one that it was forked from."""
        return self._pid == os.getpid()

    def figures(self) -> Figures:
        """What this process has done for the exporter."""
        delivery = self._turns.delivery if self.is_own else None
        if delivery is None:
            return Figures()
        counts = delivery.counts
        return Figures(counts.delivered, counts.rejected, counts.retried, delivery.backlog.quarantined)

    def on_disk(self) -> Waiting:
        """What waits on disk for this exporter.

        Raises:
            OSError: The directory cannot be listed.
        """
        return waiting(self._store.directory / SEGMENTS, self._turns.upkeep.cursor_of(self.name))

    def waiting_bytes(self) -> int:
        """How much waits on disk for this exporter; 0 where that cannot be said."""
        cursor = self._turns.upkeep.cursor_of(self.name)
        with contextlib.suppress(OSError):
            segments = segments_in(self._store.directory / SEGMENTS)
            return sum(cursor.left(segment.name, segment.size()) for segment in segments)
        return 0

    def end(self, seconds: float) -> float:
        """Begin to end: what waits is tried for at most so long, not at all if the endpoint refused last.

        Returns:
            The same in seconds, by how much `close` has to wait.
        """
        with self._lock:
            self._begin_in_child()
            bound = 0.0 if self._thread is None or self._turns.failing else seconds
            self._deadline = time.monotonic() + bound
            self._turns.closing = True
        self._turns.pauses.prod.set()
        self._turns.pauses.wake.set()
        return bound

    def close(self, seconds: float) -> None:
        """End, and wait for that for at most so long; what was not delivered stays for the next start."""
        thread = self._thread
        if thread is None or not self.is_own:
            return
        thread.join(seconds)
        if thread.is_alive():
            self._turns.interrupt()

    def _start(self) -> None:
        self._begin_in_child()
        if self._thread is None and not self._turns.closing:
            claim = threading.Lock()  # its first taker's: the thread, which then runs, or who gives it up
            thread = threading.Thread(
                target=self._run, args=(claim,), name=f"otel-incident-{self.name}", daemon=True
            )
            self._thread = thread  # first: a signal handler may report, and come here, before it has started
            try:
                thread.start()
            except BaseException as error:  # a signal handler's of any class, while the thread is on its way
                if thread.ident is not None or not claim.acquire(blocking=False):
                    raise
                self._thread = None
                if not isinstance(error, RuntimeError):
                    raise
                # what is kept waits for the next event, or for the next start
                if not exit_has_begun():  # Python 3.12 starts none then
                    self._turns.reports.say("outage", "the process can start no thread")

    def _run(self, claim: threading.Lock) -> None:
        if not claim.acquire(blocking=False):
            return
        turns = self._turns
        wait = 0.0
        while not turns.closing:
            turns.pause(wait)
            with under_way():  # before the look: either it is seen by who closes, or his closing here
                if turns.closing:
                    break
                wait = turns.take()
            with self._turned:
                if turns.failing:
                    turns.pauses.prod.clear()  # whoever waited for this attempt has had it
                if wait > 0:  # while more can go at once, whoever waits for the end need not look
                    self._turned.notify_all()
        with under_way():
            while time.monotonic() < self._deadline and turns.take() == 0.0:
                pass
            turns.end()
        with self._turned:
            self._turned.notify_all()

    def _is_over(self) -> bool:
        return self._turns.closing and (self._thread is None or not self._thread.is_alive())
