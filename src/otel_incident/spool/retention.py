"""What goes from a spool: what was delivered, and the oldest of what is too much or too old."""

from __future__ import annotations

import contextlib
import io
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, final

from otel_incident.spool.segments import Segment, drafts_in, segments_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_incident.spool.cursors import Cursor

Reason = Literal["max_bytes", "max_age", "memory_full", "not_encodable", "ended"]
"""Why a record was dropped that some exporter had not delivered."""

_DRAFT_SECONDS: Final = 3600.0
# Seconds since the epoch, 2020: what was written before has its time from a machine that did not know it yet.
_CLOCKS_WERE_SET: Final = 1_577_836_800.0


@final
@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait, and for how long.

    Attributes:
        max_bytes: Of what waits in all segments together; what a process is still writing to is not dropped.
        max_age: Seconds since a segment's last line; its first may be weeks older.
    """

    max_bytes: int = 2**30
    max_age: float = 30 * 86400.0


def tidy(
    directory: Path, cursors: Sequence[Cursor], bounds: Bounds, now: float | None = None
) -> Counter[Reason]:
    """Delete what has been delivered or must go.

    Args:
        directory: Where the segments are.
        cursors: Of all exporters; a segment waits for each of them.
        bounds: How much may wait.
        now: The time, seconds since the epoch.

    Returns:
        How many records were dropped that some exporter had not had, by reason.

    Raises:
        OSError: The directory cannot be listed.
    """
    at = time.time() if now is None else now
    dropped: Counter[Reason] = Counter()
    left: list[tuple[Segment, int]] = []
    for segment in segments_in(directory):
        with contextlib.suppress(OSError):
            size = segment.size()
            waiting = max(0, size - _had(segment, cursors))
            # once nobody writes to it any more: what was measured before that may have grown
            if not waiting and segment.is_complete() and segment.size() == size:
                segment.delete()
            else:
                left.append((segment, waiting))
    for draft in drafts_in(directory):
        with contextlib.suppress(OSError):
            if at - draft.path.lstat().st_mtime > _DRAFT_SECONDS and draft.is_complete():
                draft.delete()
    total = sum(waiting for _, waiting in left)
    for segment, waiting in left:
        reason = _reason(segment, total, at, bounds)
        if reason is not None:
            with contextlib.suppress(OSError):
                lost = _drop(segment, cursors)
                if lost is not None:
                    dropped[reason] += lost
                if lost is not None or not segment.path.exists():  # another process was quicker
                    total -= waiting
    return +dropped


def _reason(segment: Segment, total: int, at: float, bounds: Bounds) -> Reason | None:
    if total > bounds.max_bytes:
        return "max_bytes"
    written = segment.written()
    known = written is not None and written > _CLOCKS_WERE_SET
    return "max_age" if known and at - (written or at) > bounds.max_age else None


def _had(segment: Segment, cursors: Sequence[Cursor]) -> int:
    """Up to where every exporter has had a segment."""
    return min((cursor.of(segment.name) for cursor in cursors), default=0)


def _drop(segment: Segment, cursors: Sequence[Cursor]) -> int | None:
    """Delete a segment that is complete; how many records some exporter had not had, None if it stays."""
    if not segment.is_complete():
        return None
    offset = _had(segment, cursors)
    rest = segment.rest(offset)
    lost = rest.count(b"\n")
    if any(cursor.aside(segment.name) for cursor in cursors):
        lost = 0
        for line in io.BytesIO(rest):
            lost += line.endswith(b"\n") and any(cursor.waits(segment.name, offset) for cursor in cursors)
            offset += len(line)
    return lost if segment.delete() else None
