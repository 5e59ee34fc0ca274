"""What the package adds to a host's start: imports, `instrument()` and the first event.

Each sample is a process of its own that times itself from its first import, the three kinds in turn.
The first event finds no state directory, so it pays for making the identity; nothing is delivered,
the process ends before its sender wakes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from typing import Final

_BEGIN: Final = """
import os, sys, time
os.environ["OTEL_INCIDENT_STATE_DIR"] = sys.argv[1]
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
began = time.perf_counter()
import opentelemetry._logs, opentelemetry.sdk._logs, opentelemetry.sdk._logs.export
import opentelemetry.sdk.resources, opentelemetry.instrumentation.instrumentor
"""
_INSTRUMENT: Final = """
from otel_incident.instrumentor import IncidentInstrumentor
IncidentInstrumentor().instrument()
"""
_EVENT: Final = """
from otel_incident import Incident, IncidentEmitter
IncidentEmitter().end(Incident(id="8f3kq1zt9bgy5xw7mhc4ndrepo"))
"""
_END: Final = """
took = time.perf_counter() - began
sys.stdout.write(repr(took))
sys.stdout.flush()
os._exit(0)
"""
_BASELINE: Final = "baseline"
_KINDS: Final = {
    _BASELINE: _BEGIN + _END,
    "instrument()": _BEGIN + _INSTRUMENT + _END,
    "instrument() and first event": _BEGIN + _INSTRUMENT + _EVENT + _END,
}
_TARGETS: Final = {"instrument()": 40.0, "instrument() and first event": 80.0}


def sample(code: str) -> float:
    """Milliseconds that one process took."""
    with tempfile.TemporaryDirectory() as state:
        done = subprocess.run(  # noqa: S603  this interpreter with the code above
            [sys.executable, "-c", code, state], capture_output=True, text=True, check=True, timeout=60
        )
    return float(done.stdout) * 1000


def main() -> None:
    """Run all and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=15, help="processes of each kind")
    count = parser.parse_args().n
    for code in _KINDS.values():
        sample(code)  # the file cache and the byte code
    taken: dict[str, list[float]] = {name: [] for name in _KINDS}
    for _ in range(count):
        for name, code in _KINDS.items():
            taken[name].append(sample(code))
    baseline = statistics.median(taken[_BASELINE])
    lines = [
        "| start-up | median ms | above baseline ms | target ms | |",
        "|---|---:|---:|---:|---|",
        f"| {_BASELINE} | {baseline:.1f} | | | |",
    ]
    for name, target in _TARGETS.items():
        median = statistics.median(taken[name])
        verdict = "met" if median - baseline <= target else "MISSED"
        lines.append(f"| {name} | {median:.1f} | {median - baseline:.1f} | {target:.0f} | {verdict} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
