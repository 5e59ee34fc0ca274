"""The threads that deliver: one for each exporter, so that a dead one holds up no other.

A thread delivers while its process has the lease of its exporter; otherwise it looks now and then whether the
lease is free. It is a daemon: a host's exit never waits for it longer than `close` says.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Final, final

from otel_incident.guard import say, swallow
from otel_incident.spool.cursors import Cursor
from otel_incident.spool.delivery import Delivery, delete_delivered
from otel_incident.spool.lease import Lease
from otel_incident.spool.quarantine import Quarantine
from otel_incident.spool.segments import SEGMENTS, segments_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from otel_incident.spool.attempts import Attempts

LOOK_SECONDS: Final = 5.0
"""How often a process without the lease looks whether it is free, and one with it whether others have written."""

_GLANCE_SECONDS: Final = 0.05  # another process may deliver, which nobody here is told


@final
class Sender:
    """Delivers one directory through one exporter, in a thread of its own.

    Args:
        directory: Of the spool, for one destination.
        name: The exporter's; names its cursor, lease and quarantine.
        others: The names of all exporters of this directory: a segment waits for each of them.
        build: Makes the attempts; called in the thread.
        delay: Seconds from an event until a batch leaves, so that more can join it.
        batch_size: How many records go at once.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        others: Sequence[str],
        build: Callable[[], Attempts],
        *,
        delay: float = 1.0,
        batch_size: int = 512,
    ) -> None:
        self._directory = directory
        self._name = name
        self._others = tuple(others)
        self._build = build
        self._delay = delay
        self._batch_size = batch_size
        self._lease = Lease(directory / f"{name}.lease")
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._hurry = threading.Event()
        self._turned = threading.Condition()
        self._deadline = 0.0
        self._thread: threading.Thread | None = None
        self._attempts: Attempts | None = None
        self._said = False
        self.delivery: Delivery | None = None

    def notify(self) -> None:
        """Something waits; starts the thread, which a fork has not copied."""
        if self._thread is None or self._pid != os.getpid():
            self._start()
        if not self._wake.is_set():
            self._wake.set()

    def flush(self, seconds: float) -> bool:
        """Wait until nothing waits for this exporter, whoever delivers it; False if that takes longer."""
        deadline = time.monotonic() + seconds
        self._hurry.set()
        try:
            while not self.is_empty():
                self.notify()
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                with self._turned:
                    self._turned.wait(min(left, _GLANCE_SECONDS))
        finally:
            self._hurry.clear()
        return True

    def is_empty(self) -> bool:
        """Whether nothing waits for this exporter."""
        cursor = Cursor(self._cursor_path(self._name))
        segments = segments_in(self._directory / SEGMENTS)
        return all(cursor.of(segment.name) >= segment.size() for segment in segments)

    def close(self, seconds: float) -> None:
        """Deliver what waits for at most so long, nothing if the endpoint refused last; the rest stays.

        Args:
            seconds: The bound.
        """
        thread = self._thread
        if thread is None or self._pid != os.getpid():
            return
        failing = self.delivery is not None and self.delivery.outage.attempts > 0
        self._deadline = time.monotonic() + (0.0 if failing else seconds)
        self._closing.set()
        self._wake.set()
        thread.join(0.0 if failing else seconds)
        if thread.is_alive() and self._attempts is not None:
            try:
                self._attempts.shutdown()
            except Exception as error:  # noqa: BLE001  an exporter of anybody's; the host is about to end
                swallow("pipeline", error)
        self._lease.give_back()

    def _start(self) -> None:
        if self._pid != os.getpid():
            self._begin()
        self._thread = threading.Thread(target=self._run, name=f"otel-incident-{self._name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        wait: float = 0.0
        while not self._closing.is_set():
            try:
                wait = self._turn(wait)
            except Exception as error:  # noqa: BLE001  a directory that is gone, a disk that fails: later again
                swallow("pipeline", error)
                wait = LOOK_SECONDS
            with self._turned:
                self._turned.notify_all()
        try:
            self._last_turns()
        except Exception as error:  # noqa: BLE001  the host is about to end
            swallow("pipeline", error)

    def _turn(self, wait: float) -> float:
        """Wait for something to do, and do it; returns how long to wait then."""
        if wait > 0:
            if self._outage():
                self._closing.wait(wait)  # an event does not make an endpoint that is down answer sooner
            elif self._wake.wait(wait) and not self._hurry.is_set():
                self._closing.wait(self._delay)
            if self._closing.is_set():
                return 0.0
        self._wake.clear()
        if not self._lease.take():
            return LOOK_SECONDS
        due = self._delivery().step()
        self._say()
        if due is None:
            self._tidy()
            return LOOK_SECONDS
        return due

    def _last_turns(self) -> None:
        while time.monotonic() < self._deadline and self._lease.take():
            if self._delivery().step() != 0.0:
                break
        if self._lease.held():
            self._tidy()

    def _delivery(self) -> Delivery:
        if self.delivery is None:
            self._attempts = self._build()
            self.delivery = Delivery(
                self._directory / SEGMENTS,
                Cursor(self._cursor_path(self._name)),
                Quarantine(self._directory / f"{self._name}.quarantine"),
                self._attempts,
                batch_size=self._batch_size,
            )
        return self.delivery

    def _tidy(self) -> None:
        cursors = [Cursor(self._cursor_path(name)) for name in self._others]
        delete_delivered(self._directory / SEGMENTS, cursors)

    def _cursor_path(self, name: str) -> Path:
        return self._directory / f"{name}.cursor"

    def _outage(self) -> bool:
        return self.delivery is not None and self.delivery.outage.attempts > 0

    def _say(self) -> None:
        """One line for an outage, one for its end."""
        outage = self.delivery.outage if self.delivery is not None else None
        if outage is None:
            return
        if outage.attempts and not self._said:
            self._said = True
            say(
                "Incident events wait in the spool: the exporter %s cannot deliver them (%s). This is said once "
                "for an outage; `otel-incident spool status` says what waits.",
                self._name,
                outage.reason,
            )
        elif not outage.attempts and self._said:
            self._said = False
            say("The exporter %s delivers again.", self._name)
