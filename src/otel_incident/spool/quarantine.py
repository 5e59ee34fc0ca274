"""Lines that can never be delivered, kept and not deleted: a person decides what becomes of them."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Final, final

from otel_incident.spool.segments import SUFFIX, SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_UNSAFE: Final = re.compile(r"[^0-9A-Za-z]+", re.ASCII)


@final
class Quarantine:
    """The quarantine of one exporter.

    Args:
        directory: Where it is; made with the first line.
        now: The clock, ns since the epoch.
    """

    def __init__(self, directory: Path, now: Callable[[], int] = time.time_ns) -> None:
        self._directory = directory
        self._now = now

    def put(self, lines: Iterable[bytes], reason: str) -> None:
        """Keep lines under a reason from a closed set, which is in the file's name."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        day = time.strftime("%Y%m%d", time.gmtime(self._now() / 1e9))
        name = f"{day}-{_UNSAFE.sub('-', reason).strip('-').lower() or 'unknown'}{SUFFIX}"
        descriptor = os.open(
            self._directory / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            os.write(descriptor, b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines))
        finally:
            os.close(descriptor)

    def files(self) -> list[Path]:
        """What is kept, the oldest day first."""
        try:
            return sorted(self._directory.glob(f"*{SUFFIX}"))
        except FileNotFoundError:
            return []

    def counts(self) -> dict[str, int]:
        """Lines by reason."""
        found: dict[str, int] = {}
        for path in self.files():
            reason = path.stem.partition("-")[2]
            found[reason] = found.get(reason, 0) + sum(1 for _ in _lines(path))
        return found

    def requeue(self, writer: SegmentWriter) -> int:
        """Put everything back into a segment, to be sent again; how many lines that were."""
        count = 0
        for path in self.files():
            for line in _lines(path):
                writer.append(line)
                count += 1
            path.unlink()
        return count


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file
