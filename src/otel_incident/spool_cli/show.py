"""`otel-incident spool show`: the exact payload that waits, for a person or for a pipe.

It is the only command that prints what is in records, and it reads without changing anything.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Final

from otel_incident.errors import SpoolCommandError
from otel_incident.spool.quarantine import reason_of
from otel_incident.spool.segments import segments_in
from otel_incident.spool_cli.readable import block
from otel_incident.spool_cli.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from otel_incident.spool_cli.folders import Environment, Folder

_AT_ONCE: Final = 256
_CHUNK_BYTES: Final = 2**20


def show(folder: Folder, *, raw: bool, quarantine: bool) -> None:
    """Print what waits in a folder, or what was set aside there.

    Args:
        folder: Which one.
        raw: Whether as it is, a line of OTLP JSON for each record, and nothing else.
        quarantine: Whether what was set aside instead of what waits.

    Raises:
        OSError: The folder cannot be read.
        BrokenPipeError: Whoever reads has seen enough.
    """
    found = _set_aside(folder) if quarantine else _waiting(folder)
    if raw:
        for _, line in found:
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        return
    before = ""
    for where, line in found:
        sys.stdout.write(f"{before}# {where}\n{block(line)}\n")
        before = "\n"
    if not before:
        sys.stdout.write(f"{folder.shown}: nothing {'is set aside' if quarantine else 'waits'}.\n")
    sys.stdout.flush()


def default(environment: Environment, folders: Sequence[Folder]) -> Folder:
    """The folder that is shown where none is named: that of this environment, else the only one.

    Raises:
        SpoolCommandError: There is none, or it cannot be said which.
    """
    if not folders:
        raise SpoolCommandError(
            "there is no spool here: `otel-incident spool status` says where it would be."
        )
    own = [folder for folder in folders if folder.name == environment.folder]
    if len(own or folders) == 1:
        return (own or list(folders))[0]
    names = ", ".join(printable(str(folder.path)) for folder in own or folders)
    raise SpoolCommandError(f"name the folder that is to be shown, one of: {names}.")


def _waiting(folder: Folder) -> Iterator[tuple[str, bytes]]:
    """Complete lines that at least one exporter has not had, the oldest first, and for whom they wait."""
    cursors = {name: folder.cursor(name) for name in folder.targets}
    for segment in segments_in(folder.segments):
        offset = min((cursor.of(segment.name) for cursor in cursors.values()), default=0)
        with contextlib.suppress(FileNotFoundError):
            while lines := segment.read(offset, _AT_ONCE, _CHUNK_BYTES).lines:
                for line in lines:
                    waits = [name for name, cursor in cursors.items() if cursor.waits(segment.name, offset)]
                    if waits or not cursors:
                        names = ", ".join(map(printable, waits))
                        yield f"waits for {names or 'an exporter that is not known'}", line
                    offset += len(line)


def _set_aside(folder: Folder) -> Iterator[tuple[str, bytes]]:
    """Lines that were set aside, by exporter, the oldest day first."""
    for name in folder.targets:
        for path in folder.quarantine(name).all_files():
            for line in _lines(path):
                yield f"set aside by {printable(name)}: {printable(reason_of(path))}", line


def _lines(path: Path) -> Iterator[bytes]:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        yield from file
