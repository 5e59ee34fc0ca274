"""What the thread of an exporter does in turn: it looks after the directory, makes one attempt, and waits.

A forked child makes another one of these, since nothing of what a parent has begun is the child's.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final, final

from otel_incident.guard import swallow
from otel_incident.spool.backlog import Backlog, FullQuarantineError, NotKeptError
from otel_incident.spool.delivery import Delivery
from otel_incident.spool.giving_way import GivingWay
from otel_incident.spool.lease import Lease
from otel_incident.spool.making import Making, NotMadeError
from otel_incident.spool.pauses import Pauses
from otel_incident.spool.quarantine import Quarantine
from otel_incident.spool.reports import Reports
from otel_incident.spool.segments import SEGMENTS
from otel_incident.spool.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_incident.spool.attempts import Attempts
    from otel_incident.spool.memory import Store
    from otel_incident.spool.pauses import Awaited
    from otel_incident.spool.retention import Bounds

LOOK_SECONDS: Final = 5.0
"""How often a process looks whether the lease is free, after its directory, and what others have written."""

GLANCE_SECONDS: Final = 0.05
"""How often whoever waits looks himself: another process may deliver, which nobody here is told."""


@final
class Turns:
    """The turns of one process for one exporter; the arguments are those of `Sender`.

    Args:
        store: What keeps the lines.
        name: The exporter's.
        others: The names of the other exporters of this directory.
        build: Makes the attempts, in the first turn.
        delay: Seconds from an event until a batch leaves.
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
        delay: float,
        batch_size: int,
        bounds: Bounds,
        durable: bool,
    ) -> None:
        self._store = store
        self._name = name
        self._lease = Lease(store.directory / f"{name}.lease")
        self._quarantine = Quarantine(
            store.directory / f"{name}.quarantine", most=bounds.max_bytes, durable=durable
        )
        self._delay = delay
        self._batch_size = batch_size
        self.pauses = Pauses(lambda: self._safely(self._look))
        """How it waits, and what ends that."""
        self.closing = False
        """Whether the process ends."""
        self.not_before = 0.0
        """When the endpoint may be asked again, by the monotonic clock."""
        self._interrupted = False
        self._paced = False  # an endpoint that refuses all is asked now and then
        self.reports = Reports(name)
        """Tells the host's log."""
        self._making = Making(build, self.reports)
        self.attempts: Attempts | None = None
        """The exporter, once it is made."""
        self.delivery: Delivery | None = None
        """What goes through it."""
        self.upkeep = Upkeep(store, name, others, self._lease, self._quarantine, bounds, self.reports)
        """What looks after the directory."""

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed."""
        return self.delivery is not None and self.delivery.outage.attempts > 0

    @property
    def failed(self) -> int:
        """How many attempts have failed."""
        return 0 if self.delivery is None else self.delivery.counts.failed

    @property
    def problem(self) -> str:
        """What the last attempt was answered, why there is no exporter, or why nothing leaves from disk."""
        answered = self._making.problem if self.delivery is None else self.delivery.outage.reason
        return answered or self.upkeep.unusable

    def take(self) -> float:
        """Make one attempt; returns how many seconds to wait then."""
        return self._safely(self._turn)

    def pause(self, wait: float) -> None:
        """Wait until something is due."""
        if wait <= 0 or self.closing:
            return
        if self.failing or self._paced:
            # an event does not make an endpoint that is down answer sooner
            self._wait(self.pauses.prod, wait)
        elif self._wait(self.pauses.wake, wait) and not self.closing:
            self._wait(self.pauses.prod, self._delay)

    def end(self) -> None:
        """Leave the directory to others, and the exporter."""
        self._safely(self.upkeep.tidy_at_the_end)
        self.upkeep.give_back()
        if self.attempts is not None and not self._interrupted:  # else whoever did that has ended it
            self._safely(self.attempts.shutdown)

    def interrupt(self) -> None:
        """End the attempt that is under way, from another thread; the lease goes with the thread."""
        if self.attempts is None:
            return
        self._interrupted = True
        self.reports.say("outage", "no answer when the process ended")
        try:
            self.attempts.shutdown()
        except Exception as error:  # noqa: BLE001  an exporter of anybody's; the host is about to end
            swallow("pipeline", error)

    def _safely(self, turn: Callable[[], float | None]) -> float:
        try:
            return turn() or 0.0
        except NotMadeError:
            pass  # which was said
        except FullQuarantineError:
            self.reports.say("quarantine full")
        except NotKeptError:
            self.reports.say("not kept")
        except Exception as error:  # noqa: BLE001  this is the thread's boundary
            with contextlib.suppress(Exception):  # raised in tests only, where it would end the thread
                swallow("pipeline", error)
        return LOOK_SECONDS

    def _wait(self, awaited: Awaited, seconds: float) -> bool:
        return self.pauses.wait(awaited, seconds, LOOK_SECONDS)

    def _look(self) -> None:
        """Look after the directory, if that is due."""
        if self.upkeep.is_due(LOOK_SECONDS):
            self.upkeep.look(delivers=self.delivery is not None)
            self.reports.say_what_came_too_soon()

    def _turn(self) -> float:
        self.pauses.clear()
        self._store.settle()
        delivery = self._delivery()
        from_disk = self.upkeep.take_lease()
        due = delivery.step(from_disk=from_disk)
        self._paced = bool(due)
        self.not_before = time.monotonic() + delivery.outage.wait
        if from_disk and (due is None or self.upkeep.is_due(LOOK_SECONDS)):
            self.upkeep.tidy()
        if not self._interrupted:  # else what the attempt ended with is our own doing
            self.reports.say_what_happened(delivery, self.upkeep.dropped)
        if due is not None:
            return due
        # whoever delivers looks as often as a batch would leave: nobody tells him that others have written
        return min(LOOK_SECONDS, max(self._delay, GLANCE_SECONDS)) if from_disk else LOOK_SECONDS

    def _delivery(self) -> Delivery:
        if self.delivery is None:
            self.attempts = self._making()
            giving_way = GivingWay(self._store.is_busy)
            self.delivery = Delivery(
                Backlog(
                    self._name,
                    self._store.directory / SEGMENTS,
                    self.upkeep.cursor,
                    self._quarantine,
                    self._store.memory,
                    may_keep=self._lease.held,
                    giving_way=giving_way,
                ),
                self.attempts,
                batch_size=self._batch_size,
                giving_way=giving_way,
            )
        return self.delivery
