"""Folders of a spool as hosts leave them, written by the code that hosts run; nobody delivers from them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from otel_incident.config import Config
from otel_incident.destinations import describe, destinations, folder_of
from otel_incident.spool.memory import Store
from otel_incident.spool.quarantine import Quarantine
from otel_incident.state import own_directory
from tests.spool_records import line

ENDPOINT: Final = "http://collector.invalid:4318"
AT: Final = 1_700_000_000_000_000_000
"""When the first record of a test is from, ns since the epoch."""

HTTP: Final = "otlp_proto_http"
GRPC: Final = "otlp_proto_grpc"


def environment(monkeypatch: pytest.MonkeyPatch, service: str = "desk", endpoint: str = ENDPOINT) -> None:
    """What a host and a command in its environment see."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", service)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)


class Spooled:
    """The folder of a service and its exporters, as the current environment says them.

    Args:
        service: The service's name.
    """

    def __init__(self, service: str = "desk") -> None:
        config = Config.from_env()
        found = [each for each in destinations(config) if not each.is_console]
        directory = config.spooling.directory
        assert directory is not None
        self.names = [each.name for each in found]
        self.name = folder_of(service, found)
        self.path: Path = own_directory(directory) / config.spooling.folder / self.name
        self._store = Store(self.path, self.names)
        describe(self._store.directory, service, found)

    def write(self, *numbers: int, body: object = None) -> list[bytes]:
        """Records from `AT` on, a nanosecond apart, into one segment; its lines."""
        lines = [line(AT + number, body) for number in numbers]
        for each in lines:
            self._store.keep(each)
        return lines

    def end(self) -> None:
        """End the process that writes."""
        self._store.close()

    def set_aside(self, reason: str, lines: Sequence[bytes], name: str = HTTP) -> Path:
        """Put lines into the quarantine of an exporter; the file."""
        quarantine = Quarantine(self.path / f"{name}.quarantine", now=lambda: AT / 1e9)
        quarantine.put(lines, reason)
        return quarantine.files()[-1]

    def tree(self) -> dict[str, tuple[int, int, bytes]]:
        """Everything on disk: inode, when it was last changed, and the content."""
        return {
            str(path.relative_to(self.path.parent)): (
                path.lstat().st_ino,
                path.lstat().st_mtime_ns,
                path.read_bytes() if path.is_file() else b"",
            )
            for path in [self.path.parent, *sorted(self.path.rglob("*"))]
        }


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder another user's; not its own files, which are not looked at before it."""
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
