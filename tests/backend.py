"""Which backend the tests send to: the real collector if it is there, else the recording receiver.

Building the collector takes minutes, so an ordinary run never does: it uses one that `scripts/collector
build` has made, and says so if there is none. With `OTEL_INCIDENT_TEST_REQUIRE=all` nothing is left out: it
is built if need be, and its absence is a failure.
"""

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Final, Protocol

from tests.collector import ROOT
from tests.telemetry import LogEvent, MetricPoint, SpanData, Telemetry

REQUIRE: Final = "OTEL_INCIDENT_TEST_REQUIRE"

# Of whoever runs the tests, as it was before a fixture took their settings away: it says where the cache is.
_ENVIRONMENT: Final = dict(os.environ)  # noqa: TID251  about the tests, not the package's configuration


class Backend(Protocol):
    """What `Collector` and `OtlpReceiver` have in common. Endpoints are URLs without a path."""

    @property
    def name(self) -> str:
        """`collector` or `receiver`."""

    @property
    def grpc_endpoint(self) -> str:
        """For OTLP over gRPC, as `OTEL_EXPORTER_OTLP_ENDPOINT` takes it."""

    @property
    def http_endpoint(self) -> str:
        """For OTLP over HTTP; `/v1/logs` and its like are to be added."""

    def wait_for_events(self, n: int, timeout: float = ...) -> list[LogEvent]:
        """All log events so far, as soon as there are `n`."""

    def wait_for_spans(self, n: int, timeout: float = ...) -> list[SpanData]:
        """All spans so far, as soon as there are `n`."""

    def wait_for_metrics(self, n: int, timeout: float = ...) -> list[MetricPoint]:
        """All data points so far, as soon as there are `n`."""

    def spans(self) -> list[SpanData]:
        """The spans so far."""

    def metrics(self) -> list[MetricPoint]:
        """The data points so far."""

    def telemetry(self) -> Telemetry:
        """Everything so far."""

    def raw_bytes(self) -> bytes:
        """Everything so far as it was received or written, to be searched."""


@functools.cache
def collector_binary() -> Path | str:
    """The built collector, or in words why there is none; built now only if everything is required."""
    command = "build" if everything_required() else "path"
    done = subprocess.run(  # noqa: S603  the words are ours
        [sys.executable, str(ROOT / "scripts" / "collector"), command],
        capture_output=True,
        text=True,
        check=False,
        env=_ENVIRONMENT,
    )
    if done.returncode == 0:
        return Path(done.stdout.splitlines()[-1])
    return done.stderr.splitlines()[-1]


def everything_required() -> bool:
    """Whether a missing collector is a failure."""
    return os.environ.get(REQUIRE) == "all"  # noqa: TID251 -- about the tests, not the package's configuration


def report() -> str:
    """One line about the backend for whoever reads the run. Builds nothing."""
    if everything_required():
        return "otlp backend: the real collector, required; a first build takes 4 to 5 minutes"
    if isinstance(collector_binary(), Path):
        return "otlp backend: the real collector"
    return f"otlp backend: the recording receiver in its place; {collector_binary()}"
