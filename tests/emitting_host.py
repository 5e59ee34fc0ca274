"""A host in a process of its own that reports when it is told to: what a user's log and exit look like.

Nothing in it touches logging, so that what it writes to stderr is what Python writes by default: the message
of each warning.
"""

import queue
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Final, Self

from tests.processes import start

_PROGRAM: Final = """
    import sys, time
    from otel_incident import Incident, IncidentEmitter

    emitter, number = IncidentEmitter(), 0
    print("ready", flush=True)
    for command in sys.stdin:
        slowest = 0.0
        for _ in range(int(command)):
            number += 1
            started = time.monotonic()
            emitter.create(Incident(id=number))
            slowest = max(slowest, time.monotonic() - started)
        print(slowest, flush=True)
"""


class EmittingHost:
    """Running from construction to `end()`; a context manager."""

    def __init__(self, variables: Mapping[str, str], program: str = _PROGRAM) -> None:
        """Start it and wait until it is ready.

        Args:
            variables: Its environment; what would have it say other lines is set already.
            program: Says "ready", then one line for each line it reads.
        """
        # gRPC's C library writes past Python's logging, with any exporter that uses it
        quiet = {
            "OTEL_INCIDENT_DIAGNOSTIC_ID": "1",
            "OTEL_INCIDENT_SERVER_VERSION": "1",
            "GRPC_VERBOSITY": "NONE",
            "OTEL_INCIDENT_SPOOL": "false",
        }
        self._process = start(program, {**quiet, **variables})
        self._stdout: queue.Queue[str] = queue.Queue()
        self._stderr: queue.Queue[str] = queue.Queue()
        self.stderr: Final[list[str]] = []
        """The lines that were waited for, and after the end all."""
        self._readers = [
            self._read(self._process.stdout, self._stdout),
            self._read(self._process.stderr, self._stderr),
        ]
        try:
            assert self._next(self._stdout) == "ready"
        except BaseException:
            self._kill()
            raise

    def __enter__(self) -> Self:
        """The host, ready."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no process behind."""
        self._kill()

    def emit(self, count: int) -> float:
        """Report `count` incidents, numbered on; how many seconds the slowest call took."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return float(self._next(self._stdout))

    def wait_for_line(self, timeout: float = 30.0) -> str:
        """The next line on stderr."""
        line = self._next(self._stderr, timeout)
        self.stderr.append(line)
        return line

    def end(self, timeout: float = 30.0) -> tuple[int, float]:
        """Let it end as a program does; its status, and how many seconds that took."""
        assert self._process.stdin is not None
        started = time.monotonic()
        self._process.stdin.close()
        status = self._process.wait(timeout)
        seconds = time.monotonic() - started
        for reader in self._readers:
            reader.join(timeout)
        while not self._stderr.empty():
            self.stderr.append(self._stderr.get())
        return status, seconds

    def _next(self, lines: "queue.Queue[str]", timeout: float = 30.0) -> str:
        try:
            return lines.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"no line within {timeout} s; status {self._process.poll()}") from None

    def _read(self, stream: IO[str] | None, lines: "queue.Queue[str]") -> threading.Thread:
        assert stream is not None

        def read() -> None:
            with stream:
                for line in stream:
                    lines.put(line.rstrip("\n"))

        thread = threading.Thread(target=read, name=f"reader of {stream.name}")
        thread.start()
        return thread

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        for reader in self._readers:
            reader.join()


def endpoint_of(transport: str, grpc_endpoint: str, http_endpoint: str) -> dict[str, str]:
    """The variables that point to a backend over one transport."""
    return {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc" if transport == "grpc" else "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": grpc_endpoint if transport == "grpc" else http_endpoint,
    }
