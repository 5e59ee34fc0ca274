"""`otel-incident spool requeue`: sends again what was set aside, once its cause has been mended.

Lines are written to a segment of their own before they leave the quarantine, so that a kill in between means
that they are sent twice. What no sender could read stays where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_incident.spool.line_reader import LineError, LineReader
from otel_incident.spool.segments import SEGMENTS
from otel_incident.spool.writer import SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_incident.spool_cli.folders import Folder


def requeue(folder: Folder, reason: str, *, durable: bool) -> int:
    """Put what was set aside in a folder back into its queue; every exporter of the folder gets it.

    Args:
        folder: Which one; it belongs to the user who asks.
        reason: Only what was set aside for this; "" means all.
        durable: Whether each record is also flushed to the disk.

    Returns:
        How many records that were.

    Raises:
        OSError: They could not be written; what was not, is still set aside.
    """
    (folder.path / SEGMENTS).mkdir(mode=0o700, exist_ok=True)
    writer = SegmentWriter(folder.segments, durable=durable)
    try:
        return sum(folder.quarantine(name).requeue(_keep(writer), reason) for name in folder.targets)
    finally:
        writer.close()


def _keep(writer: SegmentWriter) -> Callable[[bytes], bool]:
    reader = LineReader()

    def keep(line: bytes) -> bool:
        if not line.endswith(b"\n"):
            return False
        try:
            reader.record(line)
        except LineError:
            return False
        writer.append(line)
        return True

    return keep
