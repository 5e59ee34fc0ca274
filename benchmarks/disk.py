"""Other ways to keep a record on disk: a queue on SQLite, a queue of files, a plain insert into SQLite."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from benchmarks.emit import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[[], object]


def on_disk(directory: Path, size: int) -> dict[str, Call]:
    """What puts so many bytes on disk, made beforehand; like a spool's, they outlive a kill of the host."""
    directory.mkdir(parents=True, exist_ok=True)
    line = b"x" * size
    calls = {"SQLite WAL insert": _sqlite(directory / "wal", line)}
    for title, make in (("persist-queue", _persist_queue), ("litequeue", _litequeue)):
        try:
            calls[title] = make(directory / title, line)
        except ImportError:
            say(f"skipped: {title} is not installed")
    return calls


def _sqlite(path: Path, line: bytes) -> Call:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE lines (line BLOB)")
    return lambda: connection.execute("INSERT INTO lines VALUES (?)", (line,))


def _persist_queue(path: Path, line: bytes) -> Call:
    from persistqueue import FIFOSQLiteQueue  # type: ignore[import-not-found]  # noqa: PLC0415  optional

    queue = FIFOSQLiteQueue(str(path), auto_commit=True, multithreading=True)
    return lambda: queue.put(line)


def _litequeue(path: Path, line: bytes) -> Call:
    from litequeue import LiteQueue  # type: ignore[import-not-found]  # noqa: PLC0415  optional

    queue = LiteQueue(str(path))
    return lambda: queue.put(line.decode())
