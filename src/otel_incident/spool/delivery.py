"""Delivers what waits for one exporter: in order, in batches, until all of it has left.

Nothing here sleeps and nothing here knows threads: `step` makes one attempt and says when the next is due.
An answer decides: what was delivered is ticked off, what cannot be now is held with everything behind it,
what is too large or refused is halved until the offender is alone, which then goes into quarantine.

A server's own error is held like any outage. A batch that keeps earning one is halved too, and what is left
of it in the end is set aside only if other records pass, again and again, while it does not.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_incident.spool.answers import Answer
from otel_incident.spool.backlog import MEMORY, Batch, NotKeptError, Place
from otel_incident.spool.giving_way import GivingWay, Interruptible

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_incident.spool.attempts import Attempt
    from otel_incident.spool.backlog import Backlog, Entry

FIRST_BACKOFF: Final = 1.0
LAST_BACKOFF: Final = 60.0
REFUSED_AT_ONCE: Final = 10
"""So many records in a row are set aside without a pause; then an endpoint may be one that refuses all."""
_FIRST_PAUSE: Final = 0.1
_LAST_PAUSE: Final = 1.0
_TOO_SLOW: Final = frozenset({"ReadTimeout", "HTTP 408", "HTTP 504", "gRPC DEADLINE_EXCEEDED"})
SUSPECT_AFTER: Final = 4
"""So many times a batch is answered with an error of the server's own before it is taken apart."""

ROUNDS: Final = 8
"""So many times in turn another record passes and the suspect fails before it is set aside.

Of 48,000 records at a server that failed at random, more or less often, eight set none aside and five seven.
"""


@final
@dataclass(slots=True)
class Counts:
    """What became of records.

    Attributes:
        delivered: Taken by the endpoint.
        rejected: Of these, refused by a partial success.
        retried: Attempts that were not the first.
        failed: Attempts after which all was held.
    """

    delivered: int = 0
    rejected: int = 0
    retried: int = 0
    failed: int = 0


@final
@dataclass(frozen=True, slots=True)
class Outage:
    """Attempts that failed in a row.

    Attributes:
        attempts: How many.
        reason: What the last one was answered.
        wait: Seconds that the endpoint has asked to wait after it.
    """

    attempts: int = 0
    reason: str = ""
    wait: float = 0.0


@final
@dataclass(slots=True)
class _Suspicion:
    """A batch that may be at fault itself.

    Attributes:
        head: Its first record's place.
        failures: How often it was answered with the server's own error.
        probes: How many others were tried since it is alone.
        others_pass: Whether the last of these passed.
        rounds: How often in a row one of these passed and the batch then failed.
    """

    head: Place = (MEMORY, 0)
    failures: int = 0
    probes: int = 0
    others_pass: bool = False
    rounds: int = 0


@final
class Delivery:
    """The delivery of a backlog.

    Args:
        backlog: What waits.
        attempt: Tries a batch once.
        batch_size: How many records go at once.
        jitter: A random number from 0 to 1.
        giving_way: How an exporter goes through a batch.
    """

    def __init__(
        self,
        backlog: Backlog,
        attempt: Attempt,
        *,
        batch_size: int = 512,
        jitter: Callable[[], float] = random.random,
        giving_way: GivingWay | None = None,
    ) -> None:
        self.counts = Counts()
        self.outage = Outage()
        self.backlog = backlog
        self._attempt = attempt
        self._most = batch_size
        self._size = batch_size
        self._jitter = jitter
        self._giving_way = giving_way or GivingWay()
        self._suspicion = _Suspicion()
        self._set_aside_in_a_row = 0
        self._alert = False  # a batch was taken apart, and its offender was not found yet

    def step(self, *, from_disk: bool = True) -> float | None:
        """Make one attempt.

        Args:
            from_disk: Whether the segments are this process's to deliver; what is in its memory always is.

        Returns:
            Seconds to wait before the next: 0.0 at once; None when nothing waits.

        Raises:
            NotKeptError: What cannot be delivered could not be set aside either.
        """
        try:
            return self._step(from_disk=from_disk)
        finally:
            self.backlog.give_back()

    def _step(self, *, from_disk: bool) -> float | None:
        probing = self._suspicion.probes > 0 and not self._suspicion.others_pass
        batch = self.backlog.next(self._most if probing else self._size, from_disk=from_disk)
        if probing and batch.entries:
            if batch.entries[0].place == self._suspicion.head and len(batch.entries) > 1:
                return self._probe(batch.entries)
            batch = self.backlog.next(1, from_disk=from_disk)
        if not batch.entries:
            self.backlog.done(batch)
            return None
        return self._try(batch)

    def _try(self, batch: Batch) -> float:
        answer = self._answer(batch.entries)
        if answer.verdict == "delivered":
            self._delivered(len(batch.entries), answer)  # first, since others look at the cursor
            self.backlog.done(batch)
            self._suspicion = _Suspicion()
            self._alert = self._alert and len(batch.entries) < self._most
            self._size = min(self._most, self._size * 2)
            return 0.0
        if answer.verdict != "hold" and len(batch.entries) > 1:
            self._size = len(batch.entries) // 2
            return 0.0
        if answer.suspect:
            return self._suspect(batch, answer)
        if answer.verdict == "hold":
            self._suspicion = _Suspicion()
            if (
                answer.reason in _TOO_SLOW
            ):  # less may be done in time; of this batch each attempt may be a copy
                self._size = max(1, len(batch.entries) // 2)
            return self._hold(answer)
        return self._set_aside(batch, answer.reason)

    def _answer(self, entries: list[Entry]) -> Answer:
        if self.outage.attempts:
            self.counts.retried += 1
        with suppress_instrumentation():
            return self._attempt(Interruptible([entry.record for entry in entries], self._giving_way))

    def _delivered(self, count: int, answer: Answer) -> None:
        self.counts.delivered += count
        self.counts.rejected += min(answer.rejected, count)
        self.outage = Outage()
        self._set_aside_in_a_row = 0

    def _hold(self, answer: Answer) -> float:
        self.counts.failed += 1
        self._suspicion.others_pass = False
        attempts = self.outage.attempts + 1
        self.outage = Outage(attempts, answer.reason, answer.wait or 0.0)
        backoff = min(LAST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(attempts - 1, 16))
        return max(self.outage.wait, backoff * self._jitter())

    def _suspect(self, batch: Batch, answer: Answer) -> float:
        """The server's own error, or none that was heard: an outage, unless it is this batch alone."""
        if self._suspicion.others_pass and len(batch.entries) == 1:
            self._suspicion.rounds += 1
            if self._suspicion.rounds >= ROUNDS:
                return self._set_aside(batch, answer.reason)
        head = batch.entries[0].place
        if self._suspicion.head != head:
            self._suspicion = _Suspicion(head)
        self._suspicion.failures += 1
        if self._alert or answer.verdict == "split" or self._suspicion.failures >= SUSPECT_AFTER:
            self._alert = True
            if len(batch.entries) > 1:
                self._size = len(batch.entries) // 2
            else:
                self._suspicion.probes += 1
        return self._hold(answer)

    def _probe(self, entries: list[Entry]) -> float:
        """Try another record, each time the next one, to see whether the one before them is at fault."""
        others = entries[1:]
        other = others[(self._suspicion.probes - 1) % len(others)]
        answer = self._answer([other])
        if answer.verdict != "delivered":
            self._suspicion.probes += 1
            self._suspicion.rounds = 0  # it fails for others too
            if answer.verdict == "hold" and not answer.suspect:
                self._suspicion = _Suspicion()
            return self._hold(answer)
        self.backlog.skip(other.place)
        self._delivered(1, answer)
        self._suspicion.others_pass = True
        self._size = 1
        return 0.0

    def _set_aside(self, batch: Batch, reason: str) -> float:
        try:
            for entry in batch.entries:
                self.backlog.set_aside(entry.line, entry.place, reason)
        except NotKeptError:
            self._hold(Answer("hold", reason))
            raise
        self.backlog.done(batch)
        self._suspicion, self._alert = _Suspicion(), False
        self.outage = Outage()
        self._size = min(self._most, self._size * 2)
        self._set_aside_in_a_row += 1
        more = self._set_aside_in_a_row - REFUSED_AT_ONCE
        return min(_LAST_PAUSE, _FIRST_PAUSE * 2.0 ** min(more - 1, 16)) if more > 0 else 0.0
