"""Delivers what waits in a directory through one exporter: in order, in batches, until all of it has left.

Nothing here sleeps and nothing here knows threads: `step` makes one attempt and says when the next is due.
An answer decides: what was delivered is ticked off, what cannot be now is held with everything behind it, what
is too large or refused is halved until the offender is alone, which then goes into quarantine.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_incident.spool.lines import LineError, LineReader
from otel_incident.spool.segments import segments_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opentelemetry.sdk._logs import ReadableLogRecord

    from otel_incident.spool.answers import Answer
    from otel_incident.spool.attempts import Attempt
    from otel_incident.spool.cursors import Cursor
    from otel_incident.spool.quarantine import Quarantine

BATCH_BYTES: Final = 4 * 2**20
_FIRST_BACKOFF: Final = 1.0
_LAST_BACKOFF: Final = 60.0
_SUSPECT_AFTER: Final = 4
"""So many times the same batch is answered with an error of the server's before it is taken apart."""


@final
@dataclass(slots=True)
class Counts:
    """What became of records.

    Attributes:
        delivered: Taken by the endpoint.
        rejected: Of these, refused by a partial success.
        retried: Attempts that were not the first.
        quarantined: Set aside.
    """

    delivered: int = 0
    rejected: int = 0
    retried: int = 0
    quarantined: int = 0


class _Entry(NamedTuple):
    """A record that waits, and where its line is."""

    record: ReadableLogRecord
    line: bytes
    segment: str
    end: int


@final
@dataclass(slots=True)
class Outage:
    """Attempts that failed in a row.

    Attributes:
        attempts: How many.
        reason: What the last one was answered.
    """

    attempts: int = 0
    reason: str = ""


@final
class Delivery:
    """The delivery of one directory through one exporter.

    Args:
        directory: Where the segments are.
        cursor: How far this exporter has got.
        quarantine: Takes what can never be delivered.
        attempt: Tries a batch once.
        batch_size: How many records go at once.
        jitter: A random number from 0 to 1.
    """

    def __init__(
        self,
        directory: Path,
        cursor: Cursor,
        quarantine: Quarantine,
        attempt: Attempt,
        *,
        batch_size: int = 512,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.counts = Counts()
        self.outage = Outage()
        self._directory = directory
        self._cursor = cursor
        self._quarantine = quarantine
        self._attempt = attempt
        self._most = batch_size
        self._size = batch_size
        self._jitter = jitter
        self._reader = LineReader()
        self._suspects: set[tuple[str, int]] = set()

    def step(self) -> float | None:
        """Make one attempt.

        Returns:
            Seconds to wait before the next: 0.0 at once; None when nothing waits.
        """
        batch = self._next_batch()
        if not batch:
            return None
        if self.outage.attempts:
            self.counts.retried += 1
        with suppress_instrumentation():
            answer = self._attempt([entry.record for entry in batch])
        if answer.verdict == "delivered":
            self._tick_off(batch, answer)
            return 0.0
        if answer.verdict == "hold":
            return self._hold(answer)
        if len(batch) > 1:
            self._size = len(batch) // 2
            return 0.0
        self._set_aside(batch, answer.reason)
        return 0.0

    def waiting(self) -> int:
        """Bytes that wait for this exporter."""
        return sum(
            max(0, segment.size() - self._cursor.of(segment.name)) for segment in segments_in(self._directory)
        )

    def _next_batch(self) -> list[_Entry]:
        batch: list[_Entry] = []
        room = BATCH_BYTES
        for segment in segments_in(self._directory):
            offset = self._cursor.of(segment.name)
            found = segment.read(offset, self._size - len(batch), room)
            for line in found.lines:
                offset += len(line)
                entry = self._parsed(line, segment.name, offset)
                if entry is not None:
                    batch.append(entry)
                elif not batch:  # nothing before it waits: it is done with
                    self._cursor.move(segment.name, offset)
            room -= sum(map(len, found.lines))
            if len(batch) >= self._size or room <= 0:
                break
        return batch

    def _parsed(self, line: bytes, segment: str, end: int) -> _Entry | None:
        try:
            return _Entry(self._reader.record(line), line, segment, end)
        except LineError:
            if (segment, end) not in self._suspects:
                self._suspects.add((segment, end))
                self._quarantine.put([line], "unreadable")
                self.counts.quarantined += 1
            return None

    def _tick_off(self, batch: list[_Entry], answer: Answer) -> None:
        for entry in batch:
            self._cursor.move(entry.segment, entry.end)
        self._cursor.keep()
        self.counts.delivered += len(batch)
        self.counts.rejected += answer.rejected
        self.outage = Outage()
        self._size = min(self._most, self._size * 2)

    def _hold(self, answer: Answer) -> float:
        self.outage = Outage(self.outage.attempts + 1, answer.reason)
        backoff = min(_LAST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(self.outage.attempts - 1, 16))
        return max(answer.wait or 0.0, backoff * self._jitter())

    def _set_aside(self, batch: list[_Entry], reason: str) -> None:
        self._quarantine.put([entry.line for entry in batch], reason)
        for entry in batch:
            self._cursor.move(entry.segment, entry.end)
        self._cursor.keep()
        self.counts.quarantined += len(batch)
        self._size = min(self._most, self._size * 2)


def delete_delivered(directory: Path, cursors: list[Cursor]) -> None:
    """Delete the segments that are complete and that every exporter has had."""
    for segment in segments_in(directory):
        size = segment.size()
        had = all(cursor.of(segment.name) >= size for cursor in cursors)
        # once nobody writes to it any more: what was measured before that may have grown
        if had and segment.is_complete() and segment.size() == size:
            segment.delete()
