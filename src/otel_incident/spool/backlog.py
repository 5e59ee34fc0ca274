"""What waits for one exporter, on disk and in memory: read in order and in batches, and ticked off.

A line that is no record goes into quarantine and holds up no other; so does half a line at the end of a
segment whose writer did not live to finish it. Each goes there once: the cursor notes it, even while lines
before it wait, and notes before that where in the quarantine it will stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, final

from otel_incident.spool.cursors import Begun, Unusable
from otel_incident.spool.giving_way import GivingWay
from otel_incident.spool.line_reader import LineError, LineReader
from otel_incident.spool.quarantine import QuarantineFullError
from otel_incident.spool.segments import Segment, segments_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opentelemetry.sdk._logs import ReadableLogRecord

    from otel_incident.spool.cursors import Cursor
    from otel_incident.spool.memory import Memory
    from otel_incident.spool.quarantine import Quarantine

BATCH_BYTES: Final = 4 * 2**20
"""Lines of a batch; the last may go beyond."""

MEMORY: Final = ""
"""Where a record waits that is in memory, in the place of a segment's name."""

Place = tuple[str, int]
"""A line's: the segment, and where the line ends."""


class NotKeptError(OSError):
    """A line that cannot be delivered could not be set aside either: it stays where it is."""


class FullQuarantineError(NotKeptError):
    """As much is set aside as may be, and nobody has decided what becomes of it."""


class Entry(NamedTuple):
    """A record that waits."""

    record: ReadableLogRecord
    line: bytes
    place: Place


@final
@dataclass(slots=True)
class Batch:
    """Records that go together, and how far each segment is done with once they have gone."""

    entries: list[Entry] = field(default_factory=list)
    ends: dict[str, int] = field(default_factory=dict)


@final
class Backlog:
    """What waits.

    Args:
        name: The exporter's.
        directory: Where the segments are.
        cursor: How far this exporter has got.
        quarantine: Takes what can never be delivered.
        memory: Lines that the disk has no room for.
        may_keep: Whether the cursor is still this process's to write.
        giving_way: How it goes through lines.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        cursor: Cursor,
        quarantine: Quarantine,
        memory: Memory,
        *,
        may_keep: Callable[[], bool] = lambda: True,
        giving_way: GivingWay | None = None,
    ) -> None:
        self.cursor = cursor
        self.quarantined = 0
        """Lines set aside by this process."""
        self.reason = ""
        """Why the last one was."""
        self.unusable: Unusable | None = None
        """A segment that could not be read, and why."""
        self._name = name
        self._directory = directory
        self._quarantine = quarantine
        self._memory = memory
        self._may_keep = may_keep
        self._giving_way = giving_way or GivingWay()
        self._reader = LineReader()
        self._gone: set[Place] = set()  # set aside or delivered before what stands before them

    def next(self, size: int, *, from_disk: bool) -> Batch:
        """The oldest records.

        Args:
            size: At most how many.
            from_disk: Whether the segments are this process's to deliver; what is in its memory always is.

        Raises:
            NotKeptError: What stands first can neither be delivered nor set aside.
        """
        if from_disk and self.cursor.begun is not None:
            self._end_of(self.cursor.begun)
        batch = Batch()
        # first: what moved to disk after that was read would be passed by what stands behind it in memory
        lent = self._memory.lend(self._name)
        if not (from_disk and self._fill(batch, size)):
            gone = sum(place[0] == MEMORY for place in self._gone)
            for number, line in self._memory.waiting(self._name, size - len(batch.entries) + gone):
                if len(batch.entries) < size and number <= lent:
                    self._add(batch, line, (MEMORY, number))
        if MEMORY not in batch.ends:
            self.give_back()
        return batch

    def give_back(self) -> None:
        """Nothing of this exporter's is under way: what is in memory may move to disk."""
        self._memory.give_back(self._name)

    def done(self, batch: Batch) -> None:
        """Tick off all that a batch has read."""
        if not batch.ends:
            return
        self._gone = {place for place in self._gone if place[1] > batch.ends.get(place[0], 0)}
        for place, end in batch.ends.items():
            if place == MEMORY:
                self._memory.delivered(self._name, end)
            else:
                self.cursor.move(place, end)
        self._keep()

    def skip(self, place: Place) -> None:
        """Tick off one line, though others stand before it."""
        self._gone.add(place)

    def set_aside(self, line: bytes, place: Place, reason: str) -> None:
        """Put a line into quarantine.

        Raises:
            NotKeptError: That cannot be done now.
        """
        segment, end = place
        start = end - len(line)

        def begin(file: str, at: int) -> None:
            self.cursor.begun = Begun(segment, start, end, file, at)
            if self._may_keep():
                self.cursor.keep()  # not in the room that is held: the line itself may need it

        try:
            self._quarantine.put([line], reason, None if segment == MEMORY else begin)
        except QuarantineFullError as error:
            raise FullQuarantineError(error.errno, error.strerror) from None
        except OSError as error:
            raise NotKeptError(error.errno, error.strerror) from None
        self.quarantined += 1
        self.reason = reason
        if segment != MEMORY:
            self.cursor.set_aside(segment, start, end)
            self._keep()

    def _end_of(self, begun: Begun) -> None:
        """Note a line as set aside of which a process had only begun to note that, if it is in quarantine."""
        line = Segment(self._directory / begun.segment).rest(begun.start)[: begun.end - begun.start]
        if line and self._quarantine.holds(line, begun.file, begun.at):
            self.cursor.set_aside(begun.segment, begun.start, begun.end)
        self.cursor.begun = None

    def _keep(self) -> None:
        if self._may_keep():
            self.cursor.keep(self._quarantine.make_room)

    def _segments(self) -> list[Segment]:
        try:
            return segments_in(self._directory)
        except OSError:  # what is in memory can go
            return []

    def _fill(self, batch: Batch, size: int) -> bool:
        """Add what is on disk; whether nothing may be added behind it."""
        room = BATCH_BYTES
        for segment in self._segments():
            try:
                room -= self._read(segment, batch, size, room)
            except NotKeptError:
                if batch.entries:  # what stands before it can go
                    return True
                raise
            except OSError as error:  # of somebody else's, or a bad block: the others are not held up by it
                self.unusable = Unusable(segment.name, error.strerror or type(error).__name__)
                continue
            if len(batch.entries) >= size or room <= 0:
                return True
        return False

    def _read(self, segment: Segment, batch: Batch, size: int, room: int) -> int:
        """Add a segment's lines; how many bytes that were."""
        offset = start = self.cursor.of(segment.name)
        aside = dict(self.cursor.aside(segment.name))  # before this reading, which adds to it behind itself
        skipped = 0
        while len(batch.entries) < size and offset - start < room:
            found = segment.read(offset, size - len(batch.entries), room - (offset - start))
            for line in self._giving_way.between(found.lines):
                skipped = aside.get(offset, skipped)
                offset += len(line)
                if offset <= skipped:
                    batch.ends[segment.name] = offset
                else:
                    self._add(batch, line, (segment.name, offset))
            if not found.lines and not (offset := self._last(segment, batch, offset)):
                break
        return batch.ends.get(segment.name, start) - start

    def _last(self, segment: Segment, batch: Batch, offset: int) -> int:
        """Where to read on behind half a line, which its writer did not live to finish; 0 if nowhere."""
        if segment.size() <= offset or offset in self.cursor.aside(segment.name):
            return 0
        if not segment.is_complete():
            return 0
        rest = segment.rest(offset)
        if b"\n" not in rest:
            self._unreadable(batch, rest, (segment.name, offset + len(rest)), "incomplete")
            return 0
        return offset  # it was finished just before

    def _add(self, batch: Batch, line: bytes, place: tuple[str, int]) -> None:
        if place not in self._gone:
            try:
                batch.entries.append(Entry(self._reader.record(line), line, place))
            except LineError:
                self._unreadable(batch, line, place, "unreadable")
        batch.ends[place[0]] = place[1]

    def _unreadable(self, batch: Batch, line: bytes, place: tuple[str, int], reason: str) -> None:
        """Set aside what is no record; once, though it may be read again before its batch has gone."""
        if place not in self._gone:
            self.set_aside(line, place, reason)
            if place[0] == MEMORY:
                self._gone.add(place)
        batch.ends[place[0]] = place[1]
