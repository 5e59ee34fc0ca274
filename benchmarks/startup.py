"""What the package adds to a host's start: imports, `instrument()` and the first event.

Each sample is a process of its own that looks at its clock after the SDK's own imports, after
`instrument()` and after the first event, so that what is compared happened in the same process. The
first event finds no state directory: it pays for making the identity. Nothing is delivered, the process
ends before its sender wakes.

What presets add is measured within this process: it is far below the noise of processes. They wait for their
hosts; that none of them is read by then is what a test says.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from typing import Final

from otel_incident.hooks.activation import Activation
from otel_incident.hooks.shipped import PRESETS, Preset

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
_TEN: Final = 10
_PRESETS_TARGET: Final = 5.0


def sample() -> list[float]:
    """Milliseconds of one process, in the order of the table's rows."""
    with tempfile.TemporaryDirectory() as state:
        done = subprocess.run(  # noqa: S603  this interpreter with the code above
            [sys.executable, "-c", _PROCESS, state], capture_output=True, text=True, check=True, timeout=60
        )
    return [seconds * _MS_IN_S for seconds in json.loads(done.stdout)]


def waiting(presets: list[Preset], count: int) -> list[float]:
    """Milliseconds that it takes to wait for the hosts of presets, each time."""
    taken = []
    for _ in range(count):
        activation = Activation([], _refuse, presets)
        began = time.perf_counter()
        activation.install()
        taken.append((time.perf_counter() - began) * _MS_IN_S)
        activation.uninstall()
    return taken


def reading(count: int) -> list[float]:
    """Milliseconds that it takes to read the ten, as if the hosts of all of them were imported."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        for preset in islice(cycle(PRESETS), _TEN):
            preset.read()
        taken.append((time.perf_counter() - began) * _MS_IN_S)
    return taken


def _refuse(event: object) -> None:
    raise AssertionError(event)


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
    none, ten = waiting([], 20 * count), waiting(list(islice(cycle(PRESETS), _TEN)), 20 * count)
    added = statistics.median(ten) - statistics.median(none)
    verdict = "met" if added <= _PRESETS_TARGET else "MISSED"
    low, median, high = statistics.quantiles(reading(count), n=4)
    lines += [
        f"| ten presets, waiting for their hosts | {added:.3f} | | {_PRESETS_TARGET:.0f} | {verdict} |",
        f"| ten presets, read with their hosts | {median:.1f} | {low:.1f} to {high:.1f} |  |  |",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
