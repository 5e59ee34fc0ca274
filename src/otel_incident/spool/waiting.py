"""What waits for one exporter, looked at from outside: nothing here changes anything or needs a lease.

Processes write, deliver and delete meanwhile, so a segment may be gone between its listing and its reading:
it counts for nothing then.
"""

from __future__ import annotations

import contextlib
import math
import re
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from otel_incident.spool.segments import segments_in

if TYPE_CHECKING:
    from pathlib import Path

    from otel_incident.spool.cursors import Cursor
    from otel_incident.spool.segments import Segment

_CHUNK_BYTES: Final = 2**20
# A quotation mark in a value is escaped: only a field of the record can look like this.
_OBSERVED: Final = re.compile(rb'"logRecords":\[\{.*?"observedTimeUnixNano":"([0-9]{1,20})"', re.DOTALL)


class Waiting(NamedTuple):
    """What waits on disk.

    Attributes:
        bytes: How much.
        since: When the oldest record was queued, ns since the epoch; 0 where nothing waits.
        segment: When its segment was begun, ns since the epoch; it may be much older, or (of what was set
            aside before) younger.
    """

    bytes: int = 0
    since: int = 0
    segment: int = 0

    @property
    def here_since(self) -> int:
        """Since when the oldest record has been waiting there, ns since the epoch; 0 where nothing waits."""
        return max(self.since, self.segment)


def waiting(directory: Path, cursor: Cursor) -> Waiting:
    """What waits in a directory of segments.

    Args:
        directory: Where the segments are.
        cursor: How far the exporter has got.

    Raises:
        OSError: The directory cannot be listed.
    """
    total = since = begun = 0
    for segment in segments_in(directory):
        with contextlib.suppress(OSError):
            left = cursor.left(segment.name, segment.size())
            if left > 0:
                total += left
                if not since:
                    since, begun = _queued_at(segment, cursor.of(segment.name)), segment.created
    return Waiting(total, since, begun)


def observed(line: bytes) -> int:
    """When the record of a line was queued, ns since the epoch; 0 where it does not say."""
    found = _OBSERVED.search(line)
    return int(found[1]) if found else 0


def _queued_at(segment: Segment, offset: int) -> int:
    """When the record at an offset was queued, ns since the epoch; else when its segment was begun."""
    lines = segment.read(offset, 1, _CHUNK_BYTES).lines
    return (observed(lines[0]) if lines else 0) or segment.created


def count_records(directory: Path, cursor: Cursor) -> int:
    """How many lines wait; in bounded memory, however many they are.

    Raises:
        OSError: The directory cannot be listed.
    """
    count = 0
    for segment in segments_in(directory):
        with contextlib.suppress(OSError), segment.path.open("rb") as file:
            offset = cursor.of(segment.name)
            for start, end in sorted(cursor.aside(segment.name).items()):
                count += _count(file, offset, start)
                offset = end
            count += _count(file, offset)
    return count


def _count(file: BinaryIO, start: int, end: float = math.inf) -> int:
    """Lines of a stretch of a file."""
    file.seek(start)
    count = 0
    while start < end and (chunk := file.read(int(min(_CHUNK_BYTES, end - start)))):
        start += len(chunk)
        count += chunk.count(b"\n")
    return count
