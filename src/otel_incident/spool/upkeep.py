"""What is looked after in a spool's directory, whether or not anything can be delivered just then.

Bounds hold while there is no exporter, while an endpoint asks for an hour's patience, while a quarantine is
full; what memory holds goes to disk as soon as that works; and whoever has the lease says that it lives.
"""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, final

from otel_incident.spool.cursors import Cursor
from otel_incident.spool.retention import tidy
from otel_incident.spool.segments import SEGMENTS, segments_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_incident.spool.lease import Lease
    from otel_incident.spool.memory import Store
    from otel_incident.spool.quarantine import Quarantine
    from otel_incident.spool.reports import Reports
    from otel_incident.spool.retention import Bounds, Reason

# What is about its file; where the whole directory cannot be used, the store says so.
_OF_THE_LEASE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP})


@final
class Upkeep:
    """The upkeep of a directory by one process, for one exporter.

    Args:
        store: What keeps the lines.
        name: The exporter's.
        others: The names of the other exporters of this directory.
        lease: The exporter's.
        quarantine: The exporter's.
        bounds: How much may wait on disk.
        reports: Tells the host's log.
        now: The clock, seconds; only differences count.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        others: Sequence[str],
        lease: Lease,
        quarantine: Quarantine,
        bounds: Bounds,
        reports: Reports,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._directory = store.directory
        self._name = name
        self._others = others
        self._lease = lease
        self._quarantine = quarantine
        self._bounds = bounds
        self._reports = reports
        self._now = now
        self._looked = -float("inf")
        self.cursor = self.cursor_of(name)
        """How far the exporter has got."""
        self.dropped: Counter[Reason] = Counter()
        """Records that went undelivered, by reason."""
        self.has_lease = False
        """Whether the segments were this process's to deliver, when it last looked."""
        self.unusable = ""
        """Why there can be no lease; "" if there can."""

    def cursor_of(self, name: str) -> Cursor:
        """How far an exporter of this directory has got, as it is on disk."""
        return Cursor(self._directory / f"{name}.cursor")

    def is_due(self, every: float) -> bool:
        """Whether the last look is so many seconds ago."""
        return self._now() - self._looked >= every

    def look(self, *, delivers: bool) -> None:
        """Look after everything.

        Args:
            delivers: Whether this process has an exporter; without one it leaves the lease to others.
        """
        self._looked = self._now()
        self._store.settle()
        if self.take_lease() or self.unusable:
            self.tidy()
        if not delivers:
            self.give_back()
        if self.dropped:
            self._reports.say("dropped")

    def take_lease(self) -> bool:
        """Whether the segments are this process's to deliver; says to others that it lives, if they are."""
        had = self._lease.held()
        try:
            self.has_lease = self._lease.take()
        except OSError as error:  # what is in memory can go
            self.has_lease = False
            if error.errno in _OF_THE_LEASE and os.path.lexists(self._lease.path):
                reason = os.strerror(error.errno)
                self.unusable = f"cannot use {self._lease.path.name} ({reason})"
                self._reports.say("lease", self._lease.path.name, reason)
            return False
        self.unusable = ""
        if self.has_lease and not had:
            self.cursor.load()  # somebody else may have moved it
            self.cursor.reserve()
            self._quarantine.reserve()
        return self.has_lease

    def give_back(self) -> None:
        """Let another process have the lease."""
        self.has_lease = False
        self._lease.give_back()

    def tidy(self) -> None:
        """Delete what was delivered, and what must go to keep the bounds."""
        self._looked = self._now()
        self._quarantine.reserve()  # there may be room by now
        segments = self._directory / SEGMENTS
        own = self.cursor if self.has_lease else self.cursor_of(self._name)
        self.dropped += tidy(segments, [own, *map(self.cursor_of, self._others)], self._bounds)
        self.cursor.forget_all_but([segment.name for segment in segments_in(segments)])

    def tidy_at_the_end(self) -> None:
        """The same, if this process delivered last."""
        if self._lease.held():
            self.tidy()
