"""The real OpenTelemetry Collector as a test's backend: what it wrote is what any backend would get.

It runs `collector-config/local.yaml`, the file that users are given, on free loopback ports.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from tests.otlp_decoding import decode_json_lines
from tests.telemetry import LogEvent, MetricPoint, SpanData, Telemetry
from tests.waiting import wait_until

ROOT: Final = Path(__file__).resolve().parent.parent
LOCAL_CONFIG: Final = ROOT / "collector-config" / "local.yaml"

_READY: Final = b"Everything is ready"
_COLLISION: Final = b"address already in use"
_ATTEMPTS: Final = 5


class Collector:
    """One collector process; runs from construction to `stop()`, and again after `start()`.

    Ports and output file stay the same over restarts, as those of a real one would. A context manager.
    """

    name: Final = "collector"

    def __init__(
        self,
        binary: Path,
        directory: Path,
        *,
        config: Path = LOCAL_CONFIG,
        also: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it and wait until it is ready.

        Args:
            binary: As `scripts/collector path` prints it.
            directory: For its output and its log; made if missing.
            config: Has to take its endpoints and its file from the variables that local.yaml names.
            also: Further configurations, merged into it in this order.
            environment: Further variables for the configuration.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.file: Final = directory / "collected.jsonl"
        self.log: Final = directory / "collector.log"
        self._command = [str(binary), *(f"--config={each}" for each in (config, *also))]
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._telemetry = Telemetry()
        self._read = 0
        for attempt in range(_ATTEMPTS):
            self._grpc_port, self._http_port = _free_ports(2)
            try:
                self.start()
            except RuntimeError:
                # Between finding a port and listening on it, another process may take it.
                if attempt == _ATTEMPTS - 1 or _COLLISION not in self.log.read_bytes():
                    raise
            else:
                break
        self.grpc_endpoint: Final = f"http://127.0.0.1:{self._grpc_port}"
        self.http_endpoint: Final = f"http://127.0.0.1:{self._http_port}"

    def __enter__(self) -> Self:
        """The collector, already ready."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def start(self, timeout: float = 30.0) -> None:
        """Start it where it was before and wait until it is ready; RuntimeError if it ends instead."""
        if self._process is not None:
            raise RuntimeError("it is running")
        with self.log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  the words are the tests' own
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,  # noqa: TID251 -- a child of the tests gets their environment
                    "COLLECTOR_GRPC_ENDPOINT": f"127.0.0.1:{self._grpc_port}",
                    "COLLECTOR_HTTP_ENDPOINT": f"127.0.0.1:{self._http_port}",
                    "COLLECTOR_FILE": str(self.file),
                    "COLLECTOR_DEBUG_VERBOSITY": "basic",
                    **self._environment,
                },
            )
        self._process = process
        try:
            # Its own word, rather than a connection: a port may answer that is another process's.
            wait_until(
                lambda: process.poll() is not None or _READY in self.log.read_bytes(),
                timeout,
                "a ready collector",
            )
        except TimeoutError:
            self.kill()
            raise
        if process.poll() is not None:
            self._process = None
            raise RuntimeError(
                f"the collector ended with status {process.returncode}:\n{self.log.read_text()}"
            )

    def stop(self, timeout: float = 15.0) -> None:
        """End it as an operator would, when it has written all it holds; nothing if it does not run."""
        self._end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL, timeout=15.0)

    def wait_for_events(self, n: int, timeout: float = 10.0) -> list[LogEvent]:
        """All log events so far, as soon as there are `n`."""
        wait_until(lambda: len(self.telemetry().events) >= n, timeout, f"{n} events in the collector's file")
        return list(self.telemetry().events)

    def wait_for_spans(self, n: int, timeout: float = 10.0) -> list[SpanData]:
        """All spans so far, as soon as there are `n`."""
        wait_until(lambda: len(self.spans()) >= n, timeout, f"{n} spans in the collector's file")
        return self.spans()

    def wait_for_metrics(self, n: int, timeout: float = 10.0) -> list[MetricPoint]:
        """All data points so far, as soon as there are `n`."""
        wait_until(lambda: len(self.metrics()) >= n, timeout, f"{n} data points in the collector's file")
        return self.metrics()

    def spans(self) -> list[SpanData]:
        """The spans so far."""
        return list(self.telemetry().spans)

    def metrics(self) -> list[MetricPoint]:
        """The data points so far."""
        return list(self.telemetry().metrics)

    def telemetry(self) -> Telemetry:
        """Everything in its file so far."""
        data = self.raw_bytes()
        end = data.rfind(b"\n") + 1
        if end > self._read:
            self._telemetry += decode_json_lines(data[self._read : end])
            self._read = end
        return self._telemetry

    def raw_bytes(self) -> bytes:
        """Its file so far, to be searched."""
        try:
            return self.file.read_bytes()
        except FileNotFoundError:  # made with the first request
            return b""

    def _end(self, number: signal.Signals, timeout: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _free_ports(n: int) -> list[int]:
    """Ports that are free now; all held until all are found, so that they differ."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
