"""What the package adds to a host's start: imports, `instrument()` and the first event.

Each sample is a process of its own that looks at its clock after the SDK's own imports, after
`instrument()` and after the first event, so that what is compared happened in the same process. The
first event finds no state directory: it pays for making the identity. Nothing is delivered, the process
ends before its sender wakes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from typing import Final

_PROCESS: Final = """
import json, os, sys, time
os.environ["OTEL_INCIDENT_STATE_DIR"] = sys.argv[1]
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
began = time.perf_counter()
import opentelemetry._logs, opentelemetry.sdk._logs, opentelemetry.sdk._logs.export
import opentelemetry.sdk.resources, opentelemetry.instrumentation.instrumentor
imported = time.perf_counter()
from otel_incident.instrumentor import IncidentInstrumentor
IncidentInstrumentor().instrument()
instrumented = time.perf_counter()
from otel_incident import Incident, IncidentEmitter
IncidentEmitter().end(Incident(id="8f3kq1zt9bgy5xw7mhc4ndrepo"))
ended = time.perf_counter()
json.dump([imported - began, instrumented - imported, ended - imported], sys.stdout)
sys.stdout.flush()
os._exit(0)
"""
_IMPORTS: Final = "the SDK's own imports"
_TARGETS: Final = {"above them, instrument()": 40.0, "above them, with the first event": 80.0}
_MS_IN_S: Final = 1000


def sample() -> list[float]:
    """Milliseconds of one process, in the order of the table's rows."""
    with tempfile.TemporaryDirectory() as state:
        done = subprocess.run(  # noqa: S603  this interpreter with the code above
            [sys.executable, "-c", _PROCESS, state], capture_output=True, text=True, check=True, timeout=60
        )
    return [seconds * _MS_IN_S for seconds in json.loads(done.stdout)]


def main() -> None:
    """Run all and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=40, help="processes")
    count = parser.parse_args().n
    sample()  # the file cache and the byte code
    columns = zip(*(sample() for _ in range(count)), strict=True)
    lines = [
        "| start-up | median ms | middle half ms | target ms | |",
        "|---|---:|---:|---:|---|",
    ]
    for name, taken in zip((_IMPORTS, *_TARGETS), columns, strict=True):
        low, median, high = statistics.quantiles(taken, n=4)
        target = _TARGETS.get(name)
        verdict = " | " if target is None else f"{target:.0f} | {'met' if median <= target else 'MISSED'}"
        lines.append(f"| {name} | {median:.1f} | {low:.1f} to {high:.1f} | {verdict} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
