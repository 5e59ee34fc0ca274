"""Requests as files, so that a receiver in another process can be examined, and a demo's traffic looked at.

Each request is three files: `.raw` and `.payload` (its bytes, see `Received`), and `.json` (the rest).
"""

import json
from pathlib import Path

from tests.otlp_wire import Received


def write_recording(directory: Path, number: int, request: Received) -> None:
    """Write a request; its `.json` comes last, so that its presence says that all three are whole."""
    stem = f"{number:06d}-{request.signal}-{request.transport}"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{stem}.raw").write_bytes(request.raw)
    (directory / f"{stem}.payload").write_bytes(request.payload)
    described = {"signal": request.signal, "transport": request.transport, "headers": dict(request.headers)}
    partial = directory / f"{stem}.partial"
    partial.write_text(json.dumps(described, indent=2) + "\n")
    partial.rename(directory / f"{stem}.json")


def read_recording(directory: Path) -> list[Received]:
    """The requests that a receiver with `record` has written so far, in order of arrival."""
    found = []
    for path in sorted(directory.glob("*.json")):
        fields = json.loads(path.read_text())
        raw, payload = (path.with_suffix(suffix).read_bytes() for suffix in (".raw", ".payload"))
        found.append(Received(fields["signal"], fields["transport"], fields["headers"], raw, payload))
    return found
