"""What goes from a spool: what was delivered, and the oldest of what is too much or too old."""

from __future__ import annotations

import contextlib
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


@final
@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait, and for how long.

    Attributes:
        max_bytes: Of all segments together; what a process is still writing to is not dropped.
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
            had = all(cursor.of(segment.name) >= size for cursor in cursors)
            # once nobody writes to it any more: what was measured before that may have grown
            if had and segment.is_complete() and segment.size() == size:
                segment.delete()
            else:
                left.append((segment, size))
    for draft in drafts_in(directory):
        with contextlib.suppress(OSError):
            if at - draft.path.lstat().st_mtime > _DRAFT_SECONDS and draft.is_complete():
                draft.delete()
    total = sum(size for _, size in left)
    for segment, size in left:
        reason = _reason(segment, total, at, bounds)
        if reason is not None:
            with contextlib.suppress(OSError):
                lost = _drop(segment, cursors)
                if lost is not None:
                    dropped[reason] += lost
                    total -= size
    return +dropped


def _reason(segment: Segment, total: int, at: float, bounds: Bounds) -> Reason | None:
    if total > bounds.max_bytes:
        return "max_bytes"
    written = segment.written()
    return "max_age" if written is not None and at - written > bounds.max_age else None


def _drop(segment: Segment, cursors: Sequence[Cursor]) -> int | None:
    """Delete a segment that is complete; how many records some exporter had not had, None if it stays."""
    if not segment.is_complete():
        return None
    waiting = segment.rest(min((cursor.of(segment.name) for cursor in cursors), default=0)).count(b"\n")
    return waiting if segment.delete() else None
