"""How far each exporter has got in each segment, so that a restart goes on where the last process stopped.

One small file for each exporter, replaced as a whole: a crash leaves the old one or the new one. A cursor
that was not written before a kill means that lines are delivered twice, never that one is not delivered.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@final
class Cursor:
    """The offsets of one exporter; whoever holds the lease reads and writes them.

    Args:
        path: The file.
    """

    __slots__ = ("_offsets", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offsets: dict[str, int] = {}
        self.load()

    def load(self) -> None:
        """Read what is kept; a file that cannot be read means the beginning: twice is better than never."""
        try:
            kept = json.loads(self.path.read_bytes())
            self._offsets = {
                name: offset for name, offset in kept.items() if type(offset) is int and offset >= 0
            }
        except (OSError, ValueError, AttributeError):
            self._offsets = {}

    def of(self, segment: str) -> int:
        """The offset up to which a segment was delivered."""
        return self._offsets.get(segment, 0)

    def move(self, segment: str, offset: int) -> None:
        """Note a delivery; `keep` makes it last."""
        self._offsets[segment] = offset

    def keep(self) -> None:
        """Write the offsets."""
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, json.dumps(self._offsets, separators=(",", ":")).encode())
        finally:
            os.close(descriptor)
        draft.replace(self.path)

    def forget_all_but(self, segments: Iterable[str]) -> None:
        """Forget segments that are gone."""
        there = set(segments)
        self._offsets = {name: offset for name, offset in self._offsets.items() if name in there}
